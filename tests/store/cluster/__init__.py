"""The store on a real cluster of three nodes."""
