"""Load on a real server: viewers and a host under Locust, the audit of the books after it, and benchmarks."""
