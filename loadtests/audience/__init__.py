"""Thousands of viewers in one thread: what they do, what they are promised, what they remember.

Only `table` imports Locust, which patches the standard library; `loadtests/viewers.py` carries the rest into
Locust's processes.
"""
