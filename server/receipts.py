"""Signed receipts: what the server told somebody who asked for units, and when, in a form that anybody can check.

A receipt is a JWS (RFC 7515) with EdDSA (RFC 8037) over its facts. The key is derived from the secret, so all
processes sign alike and nothing is stored; its public half is a JWK set (RFC 7517) for everybody. A receipt is no token
and a token is no receipt: algorithm, `typ`, `aud` and key all differ (RFC 8725, sections 3.11 and 3.12).
"""

from __future__ import annotations

from hashlib import sha256
from typing import Any

import jwt
import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from msgspec import UNSET, UnsetType

ALGORITHM = "EdDSA"
TYPE = "livedrop-receipt+jwt"
AUDIENCE = "livedrop-receipt"
PURPOSE = "livedrop receipts 1"  # what the derived key is for: another purpose has another key
KEY_BYTES = 32
MAX_LENGTH = 4096  # characters of a receipt
TEENS = range(11, 14)
SUFFIXES = {1: "st", 2: "nd", 3: "rd"}


class ReceiptError(Exception):
    """This is no receipt of that server; the sentence says why and never repeats what was given."""


class Receipt(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What happened to one operation on a drop. Times are Unix ms and durations ms, both of the Redis clock.

    `outcome` is held, replayed, waiting or the code of a refusal. `quantity` are the units that it is about: those
    that were held, or asked for. `rank` is the place among the drop's awards; `position` the place in its queue (in a
    draw: which entry), for `queued` units where others were held. `available` and `held` (by anybody) are what was
    seen at `at`. A receipt of an award that was looked up later names its `reservation` and no operation.
    """

    sub: str
    show: str
    drop: str
    operation: str | UnsetType = UNSET
    reservation: str | UnsetType = UNSET
    outcome: str
    quantity: int
    rank: int | UnsetType = UNSET
    position: int | UnsetType = UNSET
    queued: int | UnsetType = UNSET
    at: int
    after_opening_ms: int | UnsetType = UNSET
    after_sold_out_ms: int | UnsetType = UNSET
    available: int | UnsetType = UNSET
    held: int | UnsetType = UNSET


class Receipts:
    """Signs with the key that a secret and an issuer have; two deployments with one secret and two names stay apart."""

    def __init__(self, secret: str, issuer: str = "livedrop") -> None:
        derivation = HKDF(
            algorithm=SHA256(), length=KEY_BYTES, salt=None, info=f"{PURPOSE} {issuer}".encode()
        )
        self._key = Ed25519PrivateKey.from_private_bytes(derivation.derive(secret.encode()))
        public = _public_jwk(self._key.public_key())
        self._issuer = issuer
        self._headers = {"typ": TYPE, "kid": public["kid"]}
        self.jwks: dict[str, Any] = {"keys": [public]}

    def sign(self, receipt: Receipt) -> str:
        """Return the receipt as a compact JWS; about 35 µs. Equal facts, equal text."""
        claims = {**msgspec.to_builtins(receipt), "iss": self._issuer, "aud": AUDIENCE}
        return jwt.encode(claims, self._key, algorithm=ALGORITHM, headers=self._headers)

    def verify(self, text: str) -> Receipt:
        """Return what one of this server's own receipts says; raise ReceiptError where it is none."""
        return verify(text, self.jwks)


def verify(text: str, jwks: dict[str, Any]) -> Receipt:
    """Return what a receipt says if one of the keys signed it; raise ReceiptError with the reason.

    Only a key of the set is believed, never one that the receipt brings along.
    """
    if len(text) > MAX_LENGTH:
        raise ReceiptError(f"It has {len(text)} characters, a receipt has {MAX_LENGTH} at most.")
    try:
        header = jwt.get_unverified_header(text)
        if header.get("typ") != TYPE:
            raise ReceiptError(f"Its type is not {TYPE}.")
        claims = jwt.decode(
            text,
            _key(jwks, header.get("kid")),
            algorithms=[ALGORITHM],
            audience=AUDIENCE,
            options={"require": ["sub", "aud", "iss"]},
        )
        return msgspec.convert(claims, Receipt)
    except jwt.InvalidSignatureError:
        raise ReceiptError("The signature is not this server's over these facts.") from None
    except (jwt.PyJWTError, msgspec.MsgspecError, ValueError) as error:
        raise ReceiptError(f"It is not valid: {type(error).__name__}.") from None


def sentence(receipt: Receipt) -> str:
    """Return what a receipt says, in words with its numbers."""
    asked = f"You asked for {_units(receipt.quantity)}{_when(receipt)}"
    match receipt.outcome:
        case "held":
            return f"{_award(receipt, 'You were')}{_when(receipt)}{_rest(receipt)}."
        case "replayed":
            again = _when(receipt) or " later"
            return f"{_award(receipt, 'You had asked before and were')}; you asked again{again}."
        case "waiting":
            return f"You wait for {_units(receipt.quantity)}{_place(receipt)}: you asked{_when(receipt)}."
        case "out-of-stock":
            return f"{asked}: {_stock(receipt)}."
        case refusal:
            return f"{asked}: {refusal}."


def ordinal(number: int) -> str:
    """Return a number as a place: 1st, 2nd, 3rd, 4th, 11th, 21st."""
    suffix = "th" if number % 100 in TEENS else SUFFIXES.get(number % 10, "th")
    return f"{number}{suffix}"


def _when(receipt: Receipt) -> str:
    moments = []
    if receipt.after_opening_ms is not UNSET:
        moments.append(f"{receipt.after_opening_ms} ms after the opening")
    if receipt.after_sold_out_ms is not UNSET:
        moments.append(f"{receipt.after_sold_out_ms} ms after the last unit went")
    return " " + ", ".join(moments) if moments else ""


def _award(receipt: Receipt, opening: str) -> str:
    rank = ordinal(receipt.rank) if receipt.rank else "in time"
    return f"{opening} {rank}: {_units(receipt.quantity)} {_be(receipt.quantity)} held for you"


def _stock(receipt: Receipt) -> str:
    if receipt.available:
        return f"{receipt.available} {_be(receipt.available)} available"
    back = f"{receipt.held} held by others could still come back" if receipt.held else "all were sold"
    return f"none was available, {back}"


def _rest(receipt: Receipt) -> str:
    return f"; you wait for {receipt.queued} more{_place(receipt)}" if receipt.queued else ""


def _place(receipt: Receipt) -> str:
    return f" as number {receipt.position}" if receipt.position else ""


def _units(quantity: int) -> str:
    return f"{quantity} unit" if quantity == 1 else f"{quantity} units"


def _be(quantity: int) -> str:
    return "was" if quantity == 1 else "were"


def _public_jwk(key: Ed25519PublicKey) -> dict[str, str]:
    """Return a public key as a JWK (RFC 8037); its id is its thumbprint (RFC 7638)."""
    parts = {"crv": "Ed25519", "kty": "OKP", "x": _base64url(key.public_bytes_raw())}
    thumbprint = sha256(msgspec.json.encode(parts, order="sorted")).digest()
    return {**parts, "kid": _base64url(thumbprint), "alg": ALGORITHM, "use": "sig"}


def _key(jwks: dict[str, Any], kid: object) -> Ed25519PublicKey:
    """Return the public key with this id; raise ReceiptError where the set has none, or one of another kind."""
    keys = jwks.get("keys")
    known = keys if isinstance(keys, list) else []
    named = [one for one in known if kid and isinstance(one, dict) and one.get("kid") == kid]
    if not named:
        raise ReceiptError("None of the keys signed it: their ids are others.")
    key = jwt.PyJWK(named[0], algorithm=ALGORITHM).key
    if not isinstance(key, Ed25519PublicKey):
        raise ReceiptError("The key with its id is not a public Ed25519 key.")
    return key


def _base64url(raw: bytes) -> str:
    return jwt.utils.base64url_encode(raw).decode()
