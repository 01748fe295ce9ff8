"""A show that `livedrop record` has kept, played again as load: the same arrivals at the same times, or faster."""
