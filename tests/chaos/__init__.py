"""Random traffic on several gateways that are killed meanwhile, and the books of every show that comes of it.

`python -m tests.chaos --seconds 60` runs it for as long as one likes; a short run is part of the suite.
"""
