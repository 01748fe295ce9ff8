"""Webhooks out: who is told what, signed how, when again, and where a message may be sent to."""
