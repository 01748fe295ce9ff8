"""Where a message may be sent: URLs and addresses that are refused, so that nobody reaches inside through us. Pure.

A URL is checked as text and its addresses are checked after the name was resolved; what is connected to is the very
address that was checked. Addresses that carry another one inside (IPv4-mapped, NAT64) are judged by that one. What is
link-local, a cloud's metadata, multicast or unspecified is refused whatever the settings say.
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from enum import StrEnum
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import TYPE_CHECKING

import httpx

if TYPE_CHECKING:
    from server.settings import Settings

MAX_URL = 2048  # characters
HIGH_PORTS = (
    1024  # from here on anybody may listen; below, other protocols live that could be spoken to through us
)
HIGHEST_PORT = 65_535
LOW_PORTS = {"https": {443}, "http": {80}}

Address = IPv4Address | IPv6Address


class Refused(Exception):  # noqa: N818  what is refused is no error of ours
    """A message may not be sent there; the sentence says why, without the address that a name led to."""


class Reach(StrEnum):
    """How far messages may go."""

    PUBLIC = "public"  # https to public addresses
    LOOPBACK = "loopback"  # and to this machine, there also by http
    PRIVATE = "private"  # and into private networks, there also by http


class Kind(StrEnum):
    """What an address is."""

    PUBLIC = "public"
    PRIVATE = "private"
    LOOPBACK = "loopback"
    FORBIDDEN = "forbidden"


MAPPED_BY_NAT64 = ip_network("64:ff9b::/96")
GLOBAL_V6 = ip_network("2000::/3")
METADATA = frozenset(
    map(ip_address, ["169.254.169.254", "fd00:ec2::254", "fd20:ce::254", "100.100.100.200", "168.63.129.16"])
)
LOOPBACK = [ip_network(name) for name in ("127.0.0.0/8", "::1/128")]
PRIVATE = [
    ip_network(name)
    for name in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "fc00::/7")
]
# Of the IANA registries of special-purpose addresses, what nobody's receiver can have.
FORBIDDEN = [
    ip_network(name)
    for name in (
        "0.0.0.0/8",
        "169.254.0.0/16",
        "192.0.0.0/24",
        "192.0.2.0/24",
        "192.88.99.0/24",
        "198.18.0.0/15",
        "198.51.100.0/24",
        "203.0.113.0/24",
        "224.0.0.0/3",
        "2001::/23",  # Teredo, ORCHID and other protocols' own
        "2001:db8::/32",
        "2002::/16",  # 6to4: leads to an IPv4 address of the sender's choice
        "3fff::/20",
    )
]


def reach_of(settings: Settings) -> Reach:
    """Return how far the settings let messages go: in development a receiver may run on the same machine."""
    if settings.webhook_private:
        return Reach.PRIVATE
    return Reach.PUBLIC if settings.production else Reach.LOOPBACK


@dataclass(frozen=True, slots=True)
class Target:
    """A URL that may be resolved: its parts as they are sent."""

    url: httpx.URL
    host: str  # ASCII, without brackets
    port: int

    @property
    def plain(self) -> bool:
        """Whether it is without TLS."""
        return self.url.scheme == "http"

    def at(self, address: Address) -> httpx.URL:
        """Return the URL with the address in the name's place: nothing is resolved again."""
        return self.url.copy_with(host=str(address))


def parsed(url: str, reach: Reach) -> Target:
    """Return the target of a URL, or raise Refused with what is wrong with it."""
    if not 0 < len(url) <= MAX_URL:
        raise Refused(f"a URL of 1 to {MAX_URL} characters is expected, given {len(url)}")
    if not (url.isascii() and url.isprintable() and " " not in url and "\\" not in url):
        raise Refused("a URL of printable ASCII characters without blanks is expected")
    try:
        parts = httpx.URL(url)
    except (httpx.InvalidURL, ValueError):
        raise Refused("this cannot be read as a URL") from None
    if parts.scheme != "https" and (parts.scheme != "http" or reach is Reach.PUBLIC):
        raise Refused("a URL that begins with https:// is expected")
    if not parts.raw_host:  # `host` is decoded, which fails for some names that do exist
        raise Refused("the URL names no host")
    if parts.userinfo:
        raise Refused("a URL without user name and password is expected")
    if parts.fragment:
        raise Refused("a URL without fragment (#…) is expected")
    port = parts.port if parts.port is not None else min(LOW_PORTS[parts.scheme])
    if port not in LOW_PORTS[parts.scheme] and not HIGH_PORTS <= port <= HIGHEST_PORT:
        raise Refused(
            f"port {port} is refused: {min(LOW_PORTS[parts.scheme])}, or {HIGH_PORTS} and above are expected"
        )
    target = Target(parts, parts.raw_host.decode("ascii").strip("[]"), port)
    literal = _literal(target.host)
    if literal is not None:
        check(target, literal, reach)
    return target


def check(target: Target, address: Address, reach: Reach) -> None:
    """Raise Refused unless a message to this target may go to this address."""
    kind = kind_of(address)
    allowed = {
        Kind.PUBLIC: True,
        Kind.LOOPBACK: reach is not Reach.PUBLIC,
        Kind.PRIVATE: reach is Reach.PRIVATE,
        Kind.FORBIDDEN: False,
    }[kind]
    if not allowed:
        raise Refused(f"{target.host} leads to an address that is not public")
    if target.plain and kind is Kind.PUBLIC:
        raise Refused("to public addresses a URL that begins with https:// is expected")


def kind_of(address: Address) -> Kind:
    """Return what an address is; one that carries another inside is what that one is."""
    inner = _carried(address)
    if inner in METADATA:
        return Kind.FORBIDDEN
    for kind, networks in ((Kind.LOOPBACK, LOOPBACK), (Kind.PRIVATE, PRIVATE), (Kind.FORBIDDEN, FORBIDDEN)):
        if any(inner in network for network in networks):
            return kind
    if isinstance(inner, IPv6Address) and inner not in GLOBAL_V6:
        return Kind.FORBIDDEN
    return Kind.PUBLIC


def _carried(address: Address) -> Address:
    if isinstance(address, IPv4Address):
        return address
    if address.scope_id is not None:
        address = IPv6Address(int(address))
    if address.ipv4_mapped is not None:
        return address.ipv4_mapped
    if address in MAPPED_BY_NAT64:
        return IPv4Address(int(address) & 0xFFFF_FFFF)
    return address


def _literal(host: str) -> Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None
