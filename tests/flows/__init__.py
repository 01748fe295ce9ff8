"""The product from one door to the other, on real parts."""
