"""Tests of what is said on the live socket, without a socket."""
