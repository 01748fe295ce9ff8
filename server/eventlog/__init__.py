"""A show's log: read it, follow it live, recover a place in it."""
