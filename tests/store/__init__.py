"""Tests of the store: real servers, each test its own."""
