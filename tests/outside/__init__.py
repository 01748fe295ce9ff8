"""Stores outside of the suite: the same tests on a Redis and a PostgreSQL that run already."""
