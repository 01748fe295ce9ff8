"""From held reservations to a paid order."""
