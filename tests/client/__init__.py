"""Tests of the clients for asyncio programs."""
