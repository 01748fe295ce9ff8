"""Tests of the inventory: its operations, its books, and draws that are drawn again."""
