"""Tests of the websocket door."""
