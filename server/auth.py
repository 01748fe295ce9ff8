"""Who is calling, and what they may do: tokens in, identities out, and the role table.

Tokens are JWT (RFC 7519), HS256 only: one algorithm family, so no key confusion. `exp`, `aud` and `iss` are
required. A role's rights are one table; ownership (which shows) is checked beside it.
"""

from __future__ import annotations

import hmac
from base64 import b64decode, urlsafe_b64encode
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

import jwt
import msgspec

from server.clock import now_ms
from server.errors import Code, Problem

ALGORITHM = "HS256"
AUDIENCE = "livedrop"
EVERY_SHOW = "*"
MIN_SECRET_BYTES = 32
MAX_SUBJECT_LENGTH = 128
MAX_TTL_SECONDS = 30 * 24 * 3600
HEADER = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9"  # {"alg":"HS256","typ":"JWT"}


class Role(StrEnum):
    """What somebody is in a show."""

    HOST = "host"
    MODERATOR = "moderator"
    VIEWER = "viewer"
    SERVICE = "service"


class Right(StrEnum):
    """What a role may do; on which shows is the identity's own matter."""

    LOOK = "look"  # shows, drops, catalog
    WATCH = "watch"  # the live socket
    BUY = "buy"  # reserve, release, check out
    RUN = "run"  # move shows and drops, pin, see figures and orders
    IMPORT = "import"  # the catalog
    MINT = "mint"  # tokens for others
    SUBSCRIBE = "subscribe"  # webhooks


RIGHTS: dict[Role, frozenset[Right]] = {
    Role.HOST: frozenset({Right.LOOK, Right.WATCH, Right.RUN, Right.IMPORT, Right.MINT, Right.SUBSCRIBE}),
    Role.MODERATOR: frozenset({Right.LOOK, Right.WATCH}),
    Role.VIEWER: frozenset({Right.LOOK, Right.WATCH, Right.BUY}),
    Role.SERVICE: frozenset({Right.LOOK, Right.MINT, Right.IMPORT, Right.SUBSCRIBE}),
}


@dataclass(frozen=True, slots=True)
class Identity:
    """A verified caller: subject, role, their shows (`*` for all) and when the token ends (Unix ms)."""

    subject: str
    role: Role
    shows: frozenset[str]
    expires_at: int

    def covers(self, show: str, owner: str | None = None) -> bool:
        """Whether the token speaks for this show: named in it, or made by this very host."""
        owns = self.role is Role.HOST and owner == self.subject
        return EVERY_SHOW in self.shows or show in self.shows or owns

    def may(self, right: Right) -> bool:
        """Whether the role has the right."""
        return right in RIGHTS[self.role]

    def require(self, right: Right) -> None:
        """Raise `not-allowed` unless the role has the right."""
        require(self.role, right)


def require(role: Role, right: Right) -> None:
    """Raise `not-allowed` unless the role has the right."""
    if right not in RIGHTS[role]:
        raise Problem(Code.NOT_ALLOWED, f"A {role} may not {right}.")


class Claims(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """The claims of a token as `mint` writes them."""

    sub: str
    role: Role
    shows: frozenset[str]
    exp: int
    aud: Literal["livedrop"]
    iss: str


def is_subject(value: object) -> bool:
    """Whether `value` can name somebody: 1 to 128 printable characters without blanks at the ends or line breaks."""
    return (
        isinstance(value, str)
        and 0 < len(value) <= MAX_SUBJECT_LENGTH
        and value.isprintable()
        and value == value.strip()
    )


class Tokens:
    """Mints and verifies the server's tokens with one secret and issuer."""

    def __init__(self, secret: str, issuer: str = "livedrop") -> None:
        if len(secret.encode()) < MIN_SECRET_BYTES:
            raise ValueError(
                f"the secret has {len(secret.encode())} bytes, at least {MIN_SECRET_BYTES} are needed"
            )
        self._secret = secret
        self._key = secret.encode()
        self._issuer = issuer

    def mint(self, subject: str, role: Role, shows: list[str], ttl_seconds: int) -> tuple[str, int]:
        """Return a token and its end in Unix milliseconds."""
        expires = now_ms() // 1000 + ttl_seconds
        claims = {
            "sub": subject,
            "role": role.value,
            "shows": shows,
            "exp": expires,
            "aud": AUDIENCE,
            "iss": self._issuer,
        }
        return jwt.encode(claims, self._secret, algorithm=ALGORITHM), expires * 1000

    def verify(self, token: str) -> Identity:
        """Return who the token speaks for; raise `unauthenticated` with the reason, never with the token."""
        return self._plain(token) or self._any(token)

    def _plain(self, token: str) -> Identity | None:
        """Return who a token speaks for that is exactly like our own, or None: then the library decides.

        Thousands say hello in a second, and this costs a tenth of the library's way. It accepts nothing that the
        library would refuse: our header to the letter, a right signature, our claims and no others, not expired.
        """
        signed, _, signature = token.rpartition(".")
        header, _, body = signed.partition(".")
        if header != HEADER:
            return None
        try:
            right = hmac.digest(self._key, signed.encode("ascii"), "sha256")
            if not hmac.compare_digest(_base64url(right), signature.encode("ascii")):
                return None
            padded = body + "=" * (-len(body) % 4)
            claims = msgspec.json.decode(b64decode(padded, altchars=b"-_", validate=True), type=Claims)
        except (ValueError, msgspec.MsgspecError):
            return None
        if claims.iss != self._issuer or claims.exp * 1000 <= now_ms() or not is_subject(claims.sub):
            return None
        return Identity(claims.sub, claims.role, claims.shows, claims.exp * 1000)

    def _any(self, token: str) -> Identity:
        try:
            claims = jwt.decode(
                token,
                self._secret,
                algorithms=[ALGORITHM],
                audience=AUDIENCE,
                issuer=self._issuer,
                options={"require": ["exp", "aud", "iss", "sub"]},
            )
            role = Role(str(claims.get("role")))
        except jwt.ExpiredSignatureError:
            raise Problem(Code.UNAUTHENTICATED, "The token has expired.") from None
        except (jwt.InvalidTokenError, ValueError, TypeError) as error:
            raise Problem(Code.UNAUTHENTICATED, f"The token is not valid: {type(error).__name__}.") from None
        shows = claims.get("shows", [])
        well_formed = isinstance(shows, list) and all(isinstance(show, str) for show in shows)
        if not well_formed or not is_subject(claims["sub"]):
            raise Problem(Code.UNAUTHENTICATED, "The token's sub or shows are not valid.")
        return Identity(claims["sub"], role, frozenset(shows), int(claims["exp"]) * 1000)


def _base64url(raw: bytes) -> bytes:
    """Return base64url without padding, RFC 7515 section 2."""
    return urlsafe_b64encode(raw).rstrip(b"=")
