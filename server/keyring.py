"""The public keys of tokens that somebody else makes: a JWK set, in a file or at an address, all of one family.

RFC 7517 (the set), 7518 (RS256, ES256) and 8037 (EdDSA). The keys say by which algorithm a token must be signed; what
a token says of itself chooses one of them by its name (`kid`) and nothing else. The set is read at the start, every
ten minutes, and when a token names a key that is not in it; where that fails, the keys that are known live on.
"""

from __future__ import annotations

import asyncio
import math
from contextlib import suppress
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import jwt
import msgspec
import structlog

from server.clock import monotonic

MAX_SET_BYTES = 262_144
MAX_KEYS = 32
MIN_RSA_BITS = 2048
READ_SECONDS = 5.0  # for all of a set
PAUSE_SECONDS = 60.0  # between two looks that unknown keys ask for
REFRESH_SECONDS = 600.0  # a key that was withdrawn is believed for so long
FAMILIES = {
    ("RSA", None): ("RS256", {"RS256"}),
    ("EC", "P-256"): ("ES256", {"ES256"}),
    ("OKP", "Ed25519"): ("EdDSA", {"EdDSA", "Ed25519"}),
}  # (kty, crv) -> the algorithm, and the names that a key may give it
PRIVATE = frozenset({"d", "k", "p", "q"})  # members that no public key has

log = structlog.get_logger(__name__)


class KeyringError(Exception):
    """The keys cannot be had, or must not be used; the sentence says what is expected."""


@dataclass(frozen=True, slots=True)
class KeySet:
    """Keys of one family: the algorithm that all of them verify, and the keys by their `kid`, None for one without."""

    algorithm: str
    keys: dict[str | None, Any]

    def find(self, kid: object) -> Any | None:
        """Return the key of that name, or None. A token need not name the only key, nor one that has no name."""
        if len(self.keys) == 1 and (kid is None or None in self.keys):
            return next(iter(self.keys.values()))
        return self.keys.get(kid) if isinstance(kid, str) else None


def parsed(raw: bytes) -> KeySet:
    """Return the keys of a JWK set; those for encryption (`use`: `enc`) are passed over. Raises KeyringError."""
    try:
        listed = msgspec.json.decode(raw)["keys"]
        jwks = [dict(jwk) for jwk in listed if jwk.get("use") != "enc"]
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, TypeError, KeyError, AttributeError):
        raise KeyringError('it is not a JWK set: {"keys": […]} is expected') from None
    if not 1 <= len(jwks) <= MAX_KEYS:
        raise KeyringError(f"it has {len(jwks)} keys for signatures; 1 to {MAX_KEYS} are expected")
    families = sorted({_algorithm(jwk) for jwk in jwks})
    if len(families) > 1:
        raise KeyringError(f"its keys are of several families, {' and '.join(families)}; one is expected")
    kids = [jwk.get("kid") for jwk in jwks]
    named = all(isinstance(kid, str) for kid in kids)
    if not (named and len(set(kids)) == len(kids)) and kids != [None]:
        raise KeyringError("each of its keys needs a kid of its own; one alone may have none")
    return KeySet(families[0], {kid: _public(jwk, families[0]) for kid, jwk in zip(kids, jwks, strict=True)})


def _algorithm(jwk: dict[str, Any]) -> str:
    kind, curve = jwk.get("kty"), jwk.get("crv")
    known = FAMILIES.get((kind, curve)) if isinstance(kind, str) and isinstance(curve, str | None) else None
    if known is None:
        raise KeyringError(
            f"it has a key of kty {kind!s:.20} and crv {curve!s:.20}; RSA, EC P-256 and OKP Ed25519 are known"
        )
    algorithm, names = known
    if jwk.get("alg", algorithm) not in names:
        raise KeyringError(f"it has a key for {jwk['alg']!s:.20}; of its kind {algorithm} is known")
    return algorithm


def _public(jwk: dict[str, Any], algorithm: str) -> Any:
    if PRIVATE & jwk.keys():
        raise KeyringError("it holds a private key: give the public ones alone, and make a new pair")
    may = jwk.get("key_ops", ["verify"])
    if jwk.get("use", "sig") != "sig" or not isinstance(may, list) or "verify" not in may:
        raise KeyringError("it has a key that is not for verifying signatures")
    try:
        key = jwt.PyJWK(jwk, algorithm).key
    except (jwt.PyJWTError, ValueError, TypeError) as error:
        raise KeyringError(f"it has a key that cannot be read: {type(error).__name__}") from None
    if algorithm == "RS256" and key.key_size < MIN_RSA_BITS:
        raise KeyringError(f"it has an RSA key of {key.key_size} bits; {MIN_RSA_BITS} or more are expected")
    return key


class Keyring:
    """The keys at a source, kept up to date by `run`; `load` must have been called once.

    The source is a file's path or an https address; with `loopback` also http on this very machine.
    Raises KeyringError for any other.
    """

    def __init__(self, source: str, *, loopback: bool) -> None:
        address = urlsplit(source)
        self._remote = address.scheme in {"http", "https"}
        plain = address.scheme == "http" and not (loopback and _is_here(address.hostname or ""))
        if plain or (not self._remote and "://" in source):
            raise KeyringError(
                f"LIVEDROP_JWKS: a file's path or an https:// address is expected, not {source}"
            )
        self._source = source
        self._set = KeySet("", {})
        self._asked = asyncio.Event()
        self._looked_at = -math.inf

    @property
    def algorithm(self) -> str:
        """The one algorithm that tokens must be signed by."""
        return self._set.algorithm

    def find(self, kid: object) -> Any | None:
        """Return the key that a token names, or None where it is not known."""
        return self._set.find(kid)

    def ask(self) -> bool:
        """Let the source be read again for a key that is not known; return whether that is going to happen.

        At most once in 60 s, however many ask: whoever makes names up costs the source nothing.
        """
        if not self._asked.is_set() and monotonic() - self._looked_at < PAUSE_SECONDS:
            return False
        self._asked.set()
        return True

    async def load(self) -> None:
        """Read the source and use its keys from now on. Raises KeyringError; the keys of before stay then."""
        self._looked_at = monotonic()
        try:
            async with asyncio.timeout(READ_SECONDS):
                raw = await (self._fetched() if self._remote else asyncio.to_thread(_read, self._source))
            self._set = parsed(raw)
        except TimeoutError:
            raise KeyringError(
                f"LIVEDROP_JWKS: {self._source} did not answer within {READ_SECONDS:g} s"
            ) from None
        except (OSError, httpx.HTTPError, httpx.InvalidURL) as error:
            raise KeyringError(
                f"LIVEDROP_JWKS: {self._source} cannot be read: {str(error) or type(error).__name__}"
            ) from error
        except KeyringError as error:
            raise KeyringError(f"LIVEDROP_JWKS: {self._source} cannot be used: {error}") from None

    async def run(self) -> None:
        """Read the source whenever a key is asked for, and every ten minutes, for ever; one look at a time."""
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(REFRESH_SECONDS):
                    await self._asked.wait()
            try:
                await self.load()
            except KeyringError as error:
                log.warning("keys.unread", reason=str(error))
            finally:
                self._asked.clear()

    async def _fetched(self) -> bytes:
        """Fetch the set; no redirect is followed, and no more is read than may be of use."""
        raw = b""
        headers = {"Accept": "application/json", "Accept-Encoding": "identity"}
        async with (
            httpx.AsyncClient(timeout=READ_SECONDS, follow_redirects=False) as http,
            http.stream("GET", self._source, headers=headers) as answer,
        ):
            if answer.status_code != httpx.codes.OK:
                raise KeyringError(f"it answered {answer.status_code}; 200 is expected")
            async for piece in answer.aiter_raw():
                raw += piece
                _require_size(len(raw))
        return raw


def _read(path: str) -> bytes:
    with Path(path).open("rb") as file:
        raw = file.read(MAX_SET_BYTES + 1)
    _require_size(len(raw))
    return raw


def _require_size(size: int) -> None:
    if size > MAX_SET_BYTES:
        raise KeyringError(f"it is larger than {MAX_SET_BYTES} bytes")


def _is_here(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
