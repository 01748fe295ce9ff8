"""Orders in the ledger."""
