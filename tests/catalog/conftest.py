"""The ledger's databases, for the catalog's tests too."""

from tests.ledger.conftest import database_url, ledger, migrated_url, postgres

__all__ = ["database_url", "ledger", "migrated_url", "postgres"]
