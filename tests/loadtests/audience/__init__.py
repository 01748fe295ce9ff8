"""The viewers of the load tests, held against streams and answers that are true, and ones that are not."""
