"""Livedrop: the server for live shopping."""

__version__ = "0.1.0"
