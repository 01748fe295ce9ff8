"""The sandbox's bank: a process of its own with books of its own, which plays a payment provider. No money moves."""
