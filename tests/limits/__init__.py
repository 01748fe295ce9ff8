"""Tests of the limits: the meter, what the processes tell each other, and what callers meet at both doors."""
