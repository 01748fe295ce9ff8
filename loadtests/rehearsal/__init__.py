"""A show before its evening: a private copy of it, a synthetic audience, and what the host should know."""
