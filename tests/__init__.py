"""Tests of Livedrop; the folders mirror the source."""
