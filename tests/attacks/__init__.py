"""What strangers send on purpose, one module a kind; `python -m tests.attacks` tries all of it on a server."""
