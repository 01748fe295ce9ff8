"""Webhooks out: signed, retried, kept apart, and never led inside."""
