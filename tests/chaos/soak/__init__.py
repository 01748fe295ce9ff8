"""Half an hour of sales on everything at once while everything fails: `python -m tests.chaos.soak --seconds 1800`.

Two gateways, a worker, a primary with its replica under three sentinels, and PostgreSQL. Processes are killed and
stopped, networks cut, primaries replaced; after each round the books must hold, and nobody may have grown.
"""
