"""Benchmarks of the hot path, each beside a peer that is measured in the same run. They assert nothing."""
