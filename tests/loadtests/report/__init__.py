"""Tests of the reports on load tests: on runs that are made up."""
