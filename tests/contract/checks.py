"""Which of schemathesis' checks are not asked for, and why."""

LEFT_OUT = (
    # A request that a schema allows may still be refused for what it says: an unknown currency, a key used twice.
    "positive_data_acceptance",
    # A queue that one has left can still be asked for one's place: there is none.
    "use_after_free",
)
