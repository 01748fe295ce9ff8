"""What can be sold: products, and the readers of the feeds that bring them."""
