"""Limits: how often somebody may do something, counted by every process and shared by all."""
