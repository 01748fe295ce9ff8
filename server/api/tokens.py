"""The endpoints of tokens: a shop's back end mints and revokes those of its people, a host those of its own shows."""

from __future__ import annotations

from server.api.bodies import MintedToken, NewRevocation, NewToken, RevokedTokens
from server.api.http import Answer, Call, Keyed, Operation
from server.auth import EVERY_SHOW, Right, Role, is_subject
from server.errors import Code, Problem
from server.protocol.codec import invalid

MINTABLE: dict[Role, frozenset[Role]] = {
    Role.HOST: frozenset({Role.VIEWER, Role.MODERATOR}),
    Role.SERVICE: frozenset({Role.VIEWER, Role.MODERATOR, Role.HOST}),
}


async def mint(call: Call) -> Answer:
    """Return a token that can do no more than its minter may give away."""
    body: NewToken = call.body
    _require_subject(body.sub)
    if body.role not in MINTABLE[call.identity.role]:
        raise Problem(Code.NOT_ALLOWED, f"A {call.identity.role} may not mint a {body.role}.")
    await _require_shows(call, body.shows, "give that away")
    if body.anonymous and body.role is not Role.VIEWER:
        raise invalid(f"anonymous: a viewer can be, a {body.role} is known.")
    token, expires_at = call.rooms.tokens.mint(
        body.sub, body.role, body.shows, body.ttl_seconds, anonymous=body.anonymous
    )
    return Answer({"token": token, "expires_at": expires_at}, 201)


async def revoke(call: Call) -> Answer:
    """Refuse a subject's tokens from now on and close their sockets; a host those of viewers and moderators alone."""
    body: NewRevocation = call.body
    _require_subject(body.sub)
    await _require_shows(call, body.shows, "revoke that")
    everyone = call.identity.role is Role.SERVICE
    before = await call.rooms.revocations.revoke(body.sub, body.shows, body.before or 0, everyone=everyone)
    return Answer({"sub": body.sub, "shows": body.shows, "before": before})


def _require_subject(sub: str) -> None:
    if not is_subject(sub):
        raise invalid("sub: printable characters without blanks at the ends are expected.")


async def _require_shows(call: Call, shows: list[str], act: str) -> None:
    """Refuse shows that are not the caller's."""
    for show in shows:
        if show == EVERY_SHOW and EVERY_SHOW not in call.identity.shows:
            raise Problem(Code.NOT_ALLOWED, f"Only a token for every show can {act}.")
        if show != EVERY_SHOW:
            await call.owned_show(show)


OPERATIONS: tuple[Operation, ...] = (
    Operation(
        "POST",
        "/v1/tokens",
        "token_mint",
        "Mint a token",
        mint,
        Right.MINT,
        MintedToken,
        body=NewToken,
        status=201,
        keyed=Keyed.ACCEPTED,
        problems=(Code.NOT_FOUND,),
    ),
    Operation(
        "POST",
        "/v1/tokens/revoke",
        "token_revoke",
        "Revoke a subject's tokens",
        revoke,
        Right.MINT,
        RevokedTokens,
        body=NewRevocation,
        problems=(Code.NOT_FOUND, Code.LIMIT_REACHED),
    ),
)
