"""The sandbox for houses in this very process: the real provider and the real bank, with nothing between them.

A test that wants a bank to itself makes one with `bank`; all other houses of this process share one, as servers do.
"""

from __future__ import annotations

from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING

import httpx

from server.payments.bank.api import Bank, create_app
from server.payments.bank.books import Books
from server.payments.bank.private import PrivateSandbox, place_in
from server.payments.bank.signature import key_of
from server.payments.sandbox import Sandbox
from tests.server import SECRET

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

URL = "http://sandbox.test"


class Straight(httpx.AsyncBaseTransport):
    """Calls the app without a network; an answer that it breaks off is a cut connection, as it would be with one."""

    def __init__(self, bank: Bank) -> None:
        self._app = httpx.ASGITransport(create_app(bank), raise_app_exceptions=False)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        try:
            return await self._app.handle_async_request(request)
        except AssertionError as error:
            raise httpx.RemoteProtocolError("The connection was cut.") from error


class Nearest(httpx.AsyncBaseTransport):
    """Calls the private sandbox of a data folder where a server has one, else the bank of this process."""

    def __init__(self, data: Path) -> None:
        self._place = place_in(data)
        self._here = Straight(shared())
        self._there = httpx.AsyncHTTPTransport(verify=False)  # no TLS on this machine

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        told = self._place.url()
        if told is None:
            return await self._here.handle_async_request(request)
        url = httpx.URL(told)
        request.url = request.url.copy_with(host=url.host, port=url.port)
        return await self._there.handle_async_request(request)

    async def aclose(self) -> None:
        await self._there.aclose()


def bank() -> Bank:
    """Return a bank with empty books, kept in memory."""
    return Bank(Books(":memory:"), key_of(SECRET))


def provider_at(one: Bank) -> Sandbox:
    """Return the provider at a bank of this process."""
    return Sandbox(URL, SECRET, Straight(one))


@cache
def shared() -> Bank:
    """Return the bank of this process."""
    return bank()


def provider_for(data: Path) -> Sandbox:
    """Return the provider for a house on this data folder."""
    return Sandbox(URL, SECRET, Nearest(data))


@contextmanager
def private_sandbox(data: Path) -> Iterator[str]:
    """Keep one sandbox for several servers, in a data folder whose houses find it too, and give its address."""
    one = PrivateSandbox.begin(data, SECRET)
    try:
        yield one.url
    finally:
        one.leave()
