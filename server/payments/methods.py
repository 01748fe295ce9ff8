"""Which payment methods checkout takes, and who carries them out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from server.errors import Code, Problem

if TYPE_CHECKING:
    from server.payments.provider import Provider


@dataclass(frozen=True, slots=True)
class Method:
    """A way to pay: its name in the contract, its provider, and whether the answer comes at once."""

    name: str
    provider: str
    synchronous: bool = True


class Methods:
    """The registry of methods and providers of one deployment."""

    def __init__(self, providers: list[Provider], methods: list[Method]) -> None:
        self._providers = {provider.name: provider for provider in providers}
        self._methods = {method.name: method for method in methods}

    def offered(self, currency: str, country: str) -> list[Method]:
        """Return the methods for a currency and country; cards work everywhere."""
        del currency, country
        return list(self._methods.values())

    def provider_of(self, method: str) -> str:
        """Return the name of a method's provider; raise `invalid-message` with the known ones for an unknown method."""
        if method not in self._methods:
            known = ", ".join(sorted(self._methods))
            raise Problem(Code.INVALID_MESSAGE, f"payment.method: unknown method; this shop takes {known}.")
        return self._methods[method].provider

    def provider(self, name: str) -> Provider:
        """Return a provider by the name that an order was recorded with."""
        return self._providers[name]
