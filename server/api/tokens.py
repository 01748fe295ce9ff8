"""The endpoint that mints tokens: a shop's back end for its viewers, a host for those of its own shows."""

from __future__ import annotations

from server.api.bodies import MintedToken, NewToken
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
    if not is_subject(body.sub):
        raise invalid("sub: printable characters without blanks at the ends are expected.")
    if body.role not in MINTABLE[call.identity.role]:
        raise Problem(Code.NOT_ALLOWED, f"A {call.identity.role} may not mint a {body.role}.")
    for show in body.shows:
        if show == EVERY_SHOW and EVERY_SHOW not in call.identity.shows:
            raise Problem(Code.NOT_ALLOWED, "Only a token for every show can give that away.")
        if show != EVERY_SHOW:
            await call.owned_show(show)
    token, expires_at = call.rooms.tokens.mint(body.sub, body.role, body.shows, body.ttl_seconds)
    return Answer({"token": token, "expires_at": expires_at}, 201)


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
)
