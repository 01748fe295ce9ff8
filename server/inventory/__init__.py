"""Holds: the way of every unit between available and sold."""
