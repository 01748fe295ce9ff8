"""What the tests of providers share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import httpx
import pytest

from server.payments.stripe import Stripe
from tests.payments.stripe_account import SECRET
from tests.payments.stripe_stand_in import KEY, standing_in
from tests.sandbox import Straight, bank, provider_at

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from server.payments.bank.api import Bank
    from server.payments.sandbox import Sandbox
    from tests.payments.stripe_stand_in import StandIn


@pytest.fixture
def till() -> Bank:
    """Give a sandbox's bank without books on disk."""
    return bank()


@pytest.fixture
async def sandbox(till: Bank) -> AsyncIterator[Sandbox]:
    """Give the provider that asks it."""
    one = provider_at(till)
    yield one
    await one.aclose()


@pytest.fixture
async def buyer(till: Bank) -> AsyncIterator[httpx.AsyncClient]:
    """Give a browser that has no key."""
    async with httpx.AsyncClient(transport=Straight(till), base_url="http://sandbox.test") as one:
        yield one


@pytest.fixture
async def account() -> AsyncIterator[StandIn]:
    """Give an empty account at a stand-in for Stripe."""
    async with standing_in() as account:
        yield account


@pytest.fixture
async def process(account: StandIn) -> AsyncIterator[Callable[..., Stripe]]:
    """Give what makes the provider of one more process: it has this account, and remembers nothing."""
    made: list[Stripe] = []

    def another(key: str = KEY, base: str = "", **more: Any) -> Stripe:
        made.append(Stripe(key, SECRET, base or account.url, **more))
        return made[-1]

    yield another
    for provider in made:
        await provider.aclose()


@pytest.fixture
def stripe(process: Callable[..., Stripe]) -> Stripe:
    """Give the provider with this account."""
    return process()
