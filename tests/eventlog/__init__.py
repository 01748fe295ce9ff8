"""Tests of the log and of following it."""
