"""Bugs that other shops shipped with their stock, waitlists and limits: each is a test by its name."""
