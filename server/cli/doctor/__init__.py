"""`livedrop doctor`: whether a deployment is fit to sell. It asks and reads, and changes nothing."""
