"""Who is calling, and what they may do: tokens in, identities out, and the role table.

Tokens are JWT (RFC 7519) of one algorithm family, so there is no key confusion: our own, HS256, or, where a keyring is
given, those of whoever has its private keys. `exp`, `aud` and `iss` are required. A token can be revoked before its
end. A role's rights are one table; ownership (which shows) is checked beside it.
"""

from __future__ import annotations

import hmac
from binascii import a2b_base64, b2a_base64
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Literal

import jwt
import msgspec

from server.clock import now_ms
from server.errors import Code, Problem, unavailable

if TYPE_CHECKING:
    from server.keyring import Keyring

ALGORITHM = "HS256"
AUDIENCE = "livedrop"
EVERY_SHOW = "*"
MIN_SECRET_BYTES = 32
MAX_SUBJECT_LENGTH = 128
MAX_TTL_SECONDS = 30 * 24 * 3600
LOOK_MS = 1000  # until a key that is not known yet may be there
SKEW_MS = 60_000  # that the clock of who issued a token may be ahead of ours
TO_URL, FROM_URL = bytes.maketrans(b"+/", b"-_"), bytes.maketrans(b"-_", b"+/")
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


GUESTS = frozenset({Role.VIEWER, Role.MODERATOR})  # whom a host may let in, and send away


@dataclass(frozen=True, slots=True)
class Identity:
    """A verified caller: subject, role, their shows (`*` for all), when the token ends and was issued (Unix ms).

    `barred` are shows for which the token was revoked; for all others it counts. `anonymous`: whoever has made the
    token does not know who that is.
    """

    subject: str
    role: Role
    shows: frozenset[str]
    expires_at: int
    issued_at: int = 0
    barred: frozenset[str] = frozenset()
    anonymous: bool = False

    def covers(self, show: str, owner: str | None = None) -> bool:
        """Whether the token speaks for this show: named in it, or made by this very host; and not revoked for it."""
        owns = self.role is Role.HOST and owner == self.subject
        return (EVERY_SHOW in self.shows or show in self.shows or owns) and show not in self.barred

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
    iat: int = 0
    anonymous: bool = False


def is_subject(value: object) -> bool:
    """Whether `value` can name somebody: 1 to 128 printable characters without blanks at the ends or line breaks."""
    return (
        isinstance(value, str)
        and 0 < len(value) <= MAX_SUBJECT_LENGTH
        and value.isprintable()
        and value == value.strip()
    )


@dataclass(frozen=True, slots=True)
class Revocation:
    """A subject's tokens that count no longer: for a show, or all (`*`), where issued up to `before` (Unix ms).

    `everyone`: whatever their role; else those of viewers and moderators alone.
    """

    subject: str
    show: str
    before: int
    everyone: bool

    def bars(self, role: Role, issued_at: int) -> bool:
        """Whether a token of this subject is meant. One issued in the same second is: tokens know no finer time."""
        return issued_at <= self.before and (self.everyone or role in GUESTS)


class Revoked:
    """The revocations that this process knows. Whoever feeds it bounds it."""

    def __init__(self) -> None:
        self.subjects: dict[str, dict[tuple[str, bool], Revocation]] = {}

    def learn(self, revocation: Revocation) -> bool:
        """Keep a revocation; False where one that goes as far is known."""
        known = self.subjects.setdefault(revocation.subject, {})
        scope = revocation.show, revocation.everyone
        if scope in known and known[scope].before >= revocation.before:
            return False
        known[scope] = revocation
        return True

    def forget(self, before: int) -> None:
        """Forget what is about tokens issued before this moment (Unix ms) alone: they have ended."""
        for subject, known in list(self.subjects.items()):
            for scope in [scope for scope, each in known.items() if each.before < before]:
                del known[scope]
            if not known:
                del self.subjects[subject]

    def held_against(self, identity: Identity) -> Identity:
        """Return the identity with the shows that its token is revoked for; `unauthenticated` where for all."""
        known = self.subjects.get(identity.subject, {}).values()
        barred = {each.show for each in known if each.bars(identity.role, identity.issued_at)}
        if EVERY_SHOW in barred:
            raise Problem(Code.UNAUTHENTICATED, "The token was revoked.")
        return replace(identity, barred=frozenset(barred)) if barred else identity


class Tokens:
    """Mints and verifies the server's tokens with one secret and issuer.

    With a `keyring` it mints none and believes those alone that one of its keys has signed. `revoked` are refused.
    """

    def __init__(
        self,
        secret: str,
        issuer: str = "livedrop",
        keyring: Keyring | None = None,
        revoked: Revoked | None = None,
    ) -> None:
        if len(secret.encode()) < MIN_SECRET_BYTES:
            raise ValueError(
                f"the secret has {len(secret.encode())} bytes, at least {MIN_SECRET_BYTES} are needed"
            )
        self._secret = secret
        self._key = secret.encode()
        self._issuer = issuer
        self.keyring = keyring
        self.revoked = revoked or Revoked()
        self._refused = self.revoked.subjects

    def mint(
        self, subject: str, role: Role, shows: list[str], ttl_seconds: int, *, anonymous: bool = False
    ) -> tuple[str, int]:
        """Return a token and its end in Unix milliseconds. Raises `not-allowed` where others make the tokens."""
        if self.keyring is not None:
            raise Problem(
                Code.NOT_ALLOWED,
                f"This server makes no tokens: LIVEDROP_JWKS is set, and {self._issuer} makes them.",
            )
        issued = now_ms() // 1000
        expires = issued + ttl_seconds
        claims = {
            "sub": subject,
            "role": role.value,
            "shows": shows,
            "exp": expires,
            "aud": AUDIENCE,
            "iss": self._issuer,
            "iat": issued,
        }
        if anonymous:
            claims["anonymous"] = True
        return jwt.encode(claims, self._secret, algorithm=ALGORITHM), expires * 1000

    def verify(self, token: str) -> Identity:
        """Return who the token speaks for; raise `unauthenticated` with the reason, never with the token.

        Raises `unavailable` where the token names a key that is being looked for.
        """
        if self.keyring is None:
            identity = self._plain(token) or self._any(token, self._secret, ALGORITHM)
        else:
            identity = self._theirs(token, self.keyring)
        return self.revoked.held_against(identity) if identity.subject in self._refused else identity

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
            padded = (body + "=" * (-len(body) % 4)).encode().translate(FROM_URL)
            claims = msgspec.json.decode(a2b_base64(padded, strict_mode=True), type=Claims)
        except (ValueError, msgspec.MsgspecError):
            return None
        now = now_ms()
        if claims.exp * 1000 <= now or claims.iat * 1000 > now + SKEW_MS:
            return None
        if claims.iss != self._issuer or not is_subject(claims.sub):
            return None
        return Identity(
            claims.sub,
            claims.role,
            claims.shows,
            claims.exp * 1000,
            claims.iat * 1000,
            anonymous=claims.anonymous,
        )

    def _theirs(self, token: str, keyring: Keyring) -> Identity:
        """Return who a token speaks for that one of the keyring's keys has signed."""
        try:
            header = jwt.get_unverified_header(token)
        except jwt.InvalidTokenError as error:
            raise _invalid(error) from None
        if (
            header.get("alg") != keyring.algorithm
        ):  # before its key is looked for: that costs others something
            raise Problem(Code.UNAUTHENTICATED, f"The token is not valid: {keyring.algorithm} is expected.")
        key = keyring.find(header.get("kid"))
        if key is None and keyring.ask():
            raise unavailable("The key of this token is not known yet and is being looked for.", LOOK_MS)
        if key is None:
            raise Problem(Code.UNAUTHENTICATED, "The token is not valid: its key is not known.")
        return self._any(token, key, keyring.algorithm)

    def _any(self, token: str, key: Any, algorithm: str) -> Identity:
        try:
            claims = jwt.decode(
                token,
                key,
                algorithms=[algorithm],
                audience=AUDIENCE,
                issuer=self._issuer,
                options={"require": ["exp", "aud", "iss", "sub"], "verify_iat": False},
            )
            role, issued_at = Role(str(claims.get("role"))), _issued(claims.get("iat", 0))
        except jwt.ExpiredSignatureError:
            raise Problem(Code.UNAUTHENTICATED, "The token has expired.") from None
        except (jwt.InvalidTokenError, ValueError, TypeError, OverflowError) as error:
            raise _invalid(error) from None
        shows = claims.get("shows", [])
        well_formed = isinstance(shows, list) and all(isinstance(show, str) for show in shows)
        if not well_formed or not is_subject(claims["sub"]):
            raise Problem(Code.UNAUTHENTICATED, "The token's sub or shows are not valid.")
        anonymous = claims.get("anonymous") is True
        expires_at = int(claims["exp"]) * 1000
        return Identity(claims["sub"], role, frozenset(shows), expires_at, issued_at, anonymous=anonymous)


def _issued(iat: Any) -> int:
    """Return when a token says that it was issued, Unix ms; a moment to come is believed as far as clocks differ."""
    if isinstance(iat, bool) or not isinstance(iat, int | float):
        raise TypeError("iat is no number")
    issued = int(iat) * 1000
    if issued > now_ms() + SKEW_MS:
        raise jwt.ImmatureSignatureError("issued in the future")
    return issued


def _invalid(error: Exception) -> Problem:
    return Problem(Code.UNAUTHENTICATED, f"The token is not valid: {type(error).__name__}.")


def _base64url(raw: bytes) -> bytes:
    """Return base64url without padding, RFC 7515 section 2."""
    return b2a_base64(raw, newline=False).translate(TO_URL).rstrip(b"=")
