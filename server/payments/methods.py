"""Which payment methods checkout takes, where each of them works, and who carries them out.

Most ways to pay reserve nothing: what the buyer sends by a bank, a voucher or a mobile wallet has moved the moment
they agree to it. The table says which do (`separate_capture`). With the others a provider keeps its promise so: the
order waits as `requires_action` until the buyer has paid; `find` then says captured, `capture` only checks that the
money is there, and `void` is refused: of an order that came to nothing all of it is refunded.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from server.errors import Code, Problem

if TYPE_CHECKING:
    from collections.abc import Iterable

    from server.payments.provider import Provider


@dataclass(frozen=True, slots=True)
class Method:
    """A way to pay: its name in the contract, its provider, and where and how it works.

    Not `synchronous`: the buyer leaves the page, and the answer comes later. `currencies` are of ISO 4217, `countries`
    (ISO 3166-1 alpha-2) are the buyer's; empty: all of them.
    """

    name: str
    provider: str
    synchronous: bool = True
    currencies: frozenset[str] = frozenset()
    countries: frozenset[str] = frozenset()
    separate_capture: bool = True

    @property
    def everywhere(self) -> bool:
        """Whether it works whatever the currency and the country are."""
        return not self.currencies and not self.countries

    def works_in(self, currency: str, country: str) -> bool:
        """Whether it can be offered. No currency is any of them; a country that is not known is none of a list."""
        return (not self.currencies or not currency or currency in self.currencies) and (
            not self.countries or country in self.countries
        )


def _redirect(name: str, currencies: str, countries: str) -> Method:
    """Return a method by which the buyer leaves, pays, and comes back; what they paid has moved by then."""
    places = frozenset(currencies.split()), frozenset(countries.split())
    return Method(name, "stripe", False, *places, separate_capture=False)


# Where each works is what Stripe documents as its customers' locations and presentment currencies. Stripe knows no
# M-Pesa: the sandbox plays it, and a provider that has it brings a row of its own.
_STRIPE = (
    Method("card", "stripe"),
    Method("wallet", "stripe"),  # Apple Pay and Google Pay: a card in the buyer's phone
    _redirect("upi", "INR", "IN"),
    _redirect("ideal", "EUR", "NL"),
    _redirect("boleto", "BRL", "BR"),
    _redirect("pix", "BRL", "BR"),
    _redirect("alipay", "AUD CAD CNY EUR GBP HKD JPY MYR NZD SGD USD", "CN"),
    _redirect("wechat_pay", "AUD CAD CHF CNY DKK EUR GBP HKD JPY NOK SEK SGD USD", "CN"),
)
_MPESA = replace(_redirect("mpesa", "KES", "KE"), provider="sandbox")

# Where two providers carry out a method, the first one of this table that a deployment has does.
TABLE: tuple[Method, ...] = (*_STRIPE, *(replace(row, provider="sandbox") for row in _STRIPE), _MPESA)

_SEPARATE = frozenset(row.name for row in TABLE if row.separate_capture)


def captures_separately(method: str) -> bool:
    """Whether a method reserves first and moves the money later; one that nobody knows moves it at once."""
    return method in _SEPARATE


class Methods:
    """The registry of one deployment: the providers that it has, and the methods that it offers by them.

    Rows of providers that are not there are passed over; of two with one name the first counts. A provider without a
    row offers nothing new, but goes on with the orders that were recorded with it.
    """

    def __init__(self, providers: Iterable[Provider], methods: Iterable[Method]) -> None:
        self._providers = {provider.name: provider for provider in providers}
        self._methods: dict[str, Method] = {}
        for row in methods:
            if row.provider in self._providers:
                self._methods.setdefault(row.name, row)

    def offered(self, currency: str, country: str) -> list[Method]:
        """Return the methods for a currency and a buyer's country, in the order of the table.

        No currency: those of every currency. No country: those that work everywhere in that currency.
        """
        return [method for method in self._methods.values() if method.works_in(currency, country)]

    def find(self, method: str) -> Method:
        """Return a method; raise `invalid-message` with the known ones for an unknown one."""
        if method not in self._methods:
            known = ", ".join(self._methods) or "none"
            raise Problem(Code.INVALID_MESSAGE, f"payment.method: unknown method; this shop takes {known}.")
        return self._methods[method]

    def require(self, method: str, currency: str, country: str) -> Method:
        """Return a method that is offered there; raise `invalid-message` with those that are."""
        found = self.find(method)
        if not found.works_in(currency, country):
            place = f"in {currency} for {country or 'an unknown country'}"
            there = ", ".join(each.name for each in self.offered(currency, country)) or "none"
            raise Problem(
                Code.INVALID_MESSAGE,
                f"payment.method: {method} is not offered {place}; this shop takes {there}.",
            )
        return found

    def provider_of(self, method: str) -> str:
        """Return the name of a method's provider; raise `invalid-message` with the known ones for an unknown method."""
        return self.find(method).provider

    def provider(self, name: str) -> Provider:
        """Return a provider by the name that an order was recorded with."""
        return self._providers[name]

    def providers(self) -> list[Provider]:
        """Return every provider that is there, also one that offers nothing any more."""
        return list(self._providers.values())
