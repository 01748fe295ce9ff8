"""Tests of the benchmarks' instruments; what they measure is nobody's claim."""
