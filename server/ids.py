"""Identifiers and randomness: where every id comes from, and how an id leads back to its show.

Drop, reservation and order ids carry the show's own part (`dr_<show>_<own>`), because a show is the unit of
sharding: whoever holds the id finds the Redis node without a second index. To callers ids stay opaque.
Reservation and order ids are derived from who asks and their operation id, so a repeat meets its first result.
"""

from __future__ import annotations

import hashlib
import re
import secrets
from base64 import b32encode
from binascii import b2a_base64
from ipaddress import IPv6Address
from typing import Literal

SHOW_BITS = 60
DROP_BITS = 40
DERIVED_BITS = 100
# A reservation's own part is 12 letters and digits: short because there are many, and Redis keeps each several times.
# The two other characters of base64 are mapped onto letters, which costs a tenth of its 72 bits.
RESERVATION_BYTES = 9
LETTERS = bytes.maketrans(b"+/", b"xy")
MAX_LENGTH = 128
LOT_BITS = 53  # as fine as a float can be
SHAPE = rf"^[A-Za-z0-9_]{{1,{MAX_LENGTH}}}(?!\n)$"  # of every id
HOUSEHOLD_BITS = 64  # of an IPv6 address: whoever has one has the 2**64 of its network

_SHAPE = re.compile(SHAPE)

Kind = Literal["dr", "rs", "or"]  # how the ids of drops, reservations and orders begin


def _base32(raw: bytes, characters: int) -> str:
    return b32encode(raw).decode().lower()[:characters]


def _random(bits: int) -> str:
    return _base32(secrets.token_bytes((bits + 7) // 8 + 1), bits // 5)


def _derived(*parts: str) -> str:
    digest = hashlib.blake2b(b"\0".join(part.encode() for part in parts), digest_size=20).digest()
    return _base32(digest, DERIVED_BITS // 5)


def lot() -> float:
    """Return a random number from 0 to below 1, for an order that nobody can foresee or choose."""
    return secrets.randbits(LOT_BITS) / (1 << LOT_BITS)


def new_show() -> str:
    """Return a fresh show id, `sh_` and 12 characters."""
    return f"sh_{_random(SHOW_BITS)}"


def new_drop(show: str) -> str:
    """Return a fresh drop id that leads back to its show."""
    return f"dr_{show[3:]}_{_random(DROP_BITS)}"


def repeated_show(caller: str, operation: str) -> str:
    """Return the show id that this caller's Idempotency-Key has, now and on every repeat."""
    return f"sh_{_derived('show', caller, operation)[: SHOW_BITS // 5]}"


def repeated_drop(show: str, caller: str, operation: str) -> str:
    """Return the drop id that this caller's Idempotency-Key has, now and on every repeat."""
    return f"dr_{show[3:]}_{_derived('drop', show, caller, operation)[: DROP_BITS // 5]}"


def new_epoch() -> str:
    """Return a fresh epoch: the name of one unbroken life of a show's log."""
    return _random(60)


def new_webhook() -> str:
    """Return a fresh id of a webhook endpoint."""
    return f"we_{_random(100)}"


def new_session() -> str:
    """Return a fresh id of one websocket connection."""
    return f"ws_{_random(80)}"


def new_gateway() -> str:
    """Return a fresh id of one server process."""
    return f"gw_{_random(60)}"


def reservation(show: str, viewer: str, operation: str) -> str:
    """Return the reservation id that this viewer's operation id has, now and on every repeat."""
    return full(show, own_part(show, viewer, operation))


def own_part(show: str, viewer: str, operation: str, kind: str = "reservation") -> str:
    """Return the part of a reservation's id that is its own: what Redis knows it by.

    `kind` keeps apart what a viewer may give the same operation id: nobody can choose one that falls on another kind's.
    """
    digest = hashlib.blake2b(
        f"{kind}\0{show}\0{viewer}\0{operation}".encode(), digest_size=RESERVATION_BYTES
    ).digest()
    return b2a_base64(digest, newline=False).translate(LETTERS).decode()


def full(show: str, own: str) -> str:
    """Return the id of a reservation from its own part."""
    return f"rs_{show[3:]}_{own}"


def own(reservation: str) -> str:
    """Return the own part of a reservation's id."""
    return reservation.rpartition("_")[2]


def order(show: str, viewer: str, operation: str) -> str:
    """Return the order id that this viewer's Idempotency-Key has, now and on every repeat."""
    return f"or_{show[3:]}_{_derived('order', show, viewer, operation)}"


def refund(order: str, caller: str, operation: str) -> str:
    """Return the refund id that this caller's Idempotency-Key has, now and on every repeat."""
    return f"rf{order[2:].rpartition('_')[0]}_{_derived('refund', order, caller, operation)}"


def new_refund(order: str) -> str:
    """Return a fresh refund id of an order."""
    return f"rf{order[2:].rpartition('_')[0]}_{_random(DERIVED_BITS)}"


def is_id(text: str) -> bool:
    """Whether text can be an id at all, of whatever kind: what is not is nobody's, and no store has to be asked."""
    return _SHAPE.search(text) is not None


def show_of(identifier: str, kind: Kind) -> str | None:
    """Return the show that an id of this kind belongs to, or None if it is no such id.

    The kind is part of the name: nothing is known by two ids.
    """
    named, _, rest = identifier.partition("_")
    part, found, own = rest.partition("_")
    if named != kind or not found or not (rest.isascii() and part.isalnum() and own.isalnum()):
        return None
    return f"sh_{part}"


def household_of(address: str) -> str:
    """Return what a network address is counted under: IPv4 as it is, IPv6 as its network of 64 bits."""
    if ":" not in address:
        return address
    try:
        full = IPv6Address(address)
    except ValueError:
        return address
    if full.ipv4_mapped is not None:
        return str(full.ipv4_mapped)
    return f"{IPv6Address(int(full) >> HOUSEHOLD_BITS << HOUSEHOLD_BITS)}/{HOUSEHOLD_BITS}"


def fingerprint(*parts: bytes) -> str:
    """Return a short digest of `parts`: equal parts, equal digest."""
    digest = hashlib.blake2b(digest_size=16)
    for part in parts:
        digest.update(len(part).to_bytes(8, "big"))
        digest.update(part)
    return digest.hexdigest()


def nonce(byte_count: int) -> bytes:
    """Return `byte_count` random bytes, to be used once."""
    return secrets.token_bytes(byte_count)


def secret(byte_count: int = 32) -> str:
    """Return a fresh URL-safe secret of `byte_count` random bytes."""
    return secrets.token_urlsafe(byte_count)


def chance() -> float:
    """Return a random number from 0 up to 1, not 1 itself: for jitter."""
    return secrets.SystemRandom().random()
