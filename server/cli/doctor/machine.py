"""The machine and the settings: files, processors, keys, origins, proxies, and who takes the money."""

from __future__ import annotations

import os
import resource
from functools import partial
from ipaddress import ip_address, ip_network
from typing import TYPE_CHECKING

from server.cli.doctor.finding import Finding, fine, graver, warning, wrong
from server.cli.doctor.looking import Look
from server.keyring import Keyring

if TYPE_CHECKING:
    from server.settings import Settings

OWN_FILES = 256  # that a process opens besides its sockets: store, ledger, webhooks, its code
DISTINCT = 16  # characters of a good secret, at least
BROADEST = {4: 8, 6: 16}  # bits of the network of a proxy that may be named


def files(most: int, connections: int, *, production: bool) -> Finding:
    """Judge how many files may be open; each viewer's socket is one. It is this shell's limit that is known."""
    needed = connections + OWN_FILES
    found = f"{most} may be open, {needed} are needed for {connections} connections"
    if most < needed:
        advice = f"Raise it where the server starts (ulimit -n {needed}), or lower LIVEDROP_CONNECTIONS."
        return graver("machine: open files", found, advice, production=production)
    return fine("machine: open files", found)


def processors(count: int, workers: int) -> Finding:
    """Judge the number of server processes; 0: not told."""
    found = f"{count} processors" + (f" for {workers} server processes" if workers else "")
    if workers > count:
        return warning("machine: processors", found, f"Start no more than --workers {count}.")
    return fine("machine: processors", found)


def secret(value: str, *, production: bool) -> Finding:
    """Judge the key of the tokens by what can be seen of it."""
    if not value:
        return fine("secret", "made and kept in the data folder")
    different = len(set(value))
    found = f"{len(value.encode())} bytes, {different} different characters"
    if different < DISTINCT:
        advice = "Make one by chance: openssl rand -base64 48. Whoever guesses it is everybody."
        return graver("secret", found, advice, production=production)
    return fine("secret", found)


def money(settings: Settings) -> Finding:
    """Judge who takes the payments."""
    if settings.stripe_secret_key:
        if not settings.stripe_webhook_secret:
            advice = (
                "Set LIVEDROP_STRIPE_WEBHOOK_SECRET: payments that end later are heard of late without it."
            )
            return warning("payments", "Stripe without webhooks", advice)
        if settings.production and "_test_" in settings.stripe_secret_key:
            return warning("payments", "Stripe with a test key", "No money moves: set the live key to sell.")
        return fine("payments", "Stripe")
    if settings.production:
        return wrong("payments", "no provider", "Set LIVEDROP_STRIPE_SECRET_KEY: nobody can pay without one.")
    return fine("payments", "sandbox at an address" if settings.sandbox_url else "a private sandbox")


def origins(settings: Settings) -> Finding:
    """Judge whose pages may connect."""
    named = settings.allowed_origins
    found = ", ".join(named) or "our own pages alone"
    if settings.production and "*" in named:
        advice = "Name your shops' origins in LIVEDROP_ALLOWED_ORIGINS: any page may connect as it is."
        return warning("allowed origins", found, advice)
    if settings.production and any(origin.startswith("http://") for origin in named):
        return warning(
            "allowed origins", found, "Name them with https: others can change such a page on its way."
        )
    return fine("allowed origins", found)


def proxies(settings: Settings) -> Finding:
    """Judge whose word about a viewer's address is taken."""
    named = [ip_network(each) for each in settings.trusted_proxies]
    found = ", ".join(settings.trusted_proxies) or "none"
    if any(network.prefixlen < BROADEST[network.version] for network in named):
        advice = "Name your proxies' own networks: anybody in there can say to be at any address."
        return wrong("trusted proxies", found, advice)
    if settings.production and not named:
        advice = (
            "Name the proxies in front (LIVEDROP_TRUSTED_PROXIES): all viewers have their address otherwise."
        )
        return warning("trusted proxies", found, advice)
    return fine("trusted proxies", found)


def surroundings(settings: Settings) -> Finding:
    """Judge whether this is told to be the real thing where others can reach it."""
    if settings.production or _is_loopback(settings.host):
        return fine("environment", f"{settings.env} on {settings.host}")
    advice = "Set LIVEDROP_ENV=production before anybody buys: development makes up secrets and payments."
    return warning("environment", f"{settings.env} on {settings.host}", advice)


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def looks(settings: Settings, workers: int) -> list[Look]:
    """Return the looks at machine and settings."""
    here = Look("machine", partial(_looked_at, settings, workers), "Report this with the settings' names.")
    if not settings.jwks:
        return [here]
    advice = "Correct LIVEDROP_JWKS: without the keys of whoever makes the tokens none is believed."
    return [here, Look("keys", partial(_keys, settings), advice)]


async def _keys(settings: Settings) -> list[Finding]:
    """Read the keys as a server would at its start."""
    keyring = Keyring(settings.jwks, loopback=not settings.production)
    await keyring.load()
    return [fine("keys", f"{keyring.algorithm}, from {settings.jwks}")]


async def _looked_at(settings: Settings, workers: int) -> list[Finding]:
    most, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return [
        surroundings(settings),
        secret(settings.secret, production=settings.production),
        money(settings),
        origins(settings),
        proxies(settings),
        files(most, settings.connections, production=settings.production),
        processors(len(os.sched_getaffinity(0)), workers),
    ]
