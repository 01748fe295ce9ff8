"""The books in SQL: products, drops, orders and payments, on SQLite or PostgreSQL."""
