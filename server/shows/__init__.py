"""Shows and drops: plan them, move them, read them."""
