"""A release under viewers: every process of a server is replaced while they watch and buy, and nothing is lost."""
