"""Servers of the test build with one promise broken each, and a small crowd that the gate must catch them with."""
