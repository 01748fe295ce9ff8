"""Tests of the house: sizes, floors, packaging, and that its papers tell the truth."""
