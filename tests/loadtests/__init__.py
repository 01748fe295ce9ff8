"""Tests of the load test: that it passes on a sound server, and above all that it can fail."""
