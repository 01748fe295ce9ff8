"""Inputs that nobody would send, made by chance and by what came of the ones before; `python -m tests.fuzz`."""
