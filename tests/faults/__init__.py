"""Processes that die, parts that fail, and what must hold all the same."""
