"""Revoked tokens: whose, for which shows, and up to which moment; held against a slow and obvious list."""

from __future__ import annotations

from typing import Any

import jwt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from server.auth import EVERY_SHOW, Identity, Revocation, Revoked, Role, Tokens
from server.clock import now_ms
from server.errors import Code, Problem

SECRET = "a-secret-of-exactly-32-bytes-000"
NOW = 1_700_000_000_000


def whole(second: int, role: Role = Role.VIEWER, subject: str = "anna") -> Identity:
    """Return a token for every show that was issued in this second after NOW."""
    return Identity(subject, role, frozenset({EVERY_SHOW}), NOW * 2, NOW + second * 1000)


def revoked(*revocations: Revocation) -> Revoked:
    known = Revoked()
    for each in revocations:
        known.learn(each)
    return known


def test_every_show_is_the_token_itself() -> None:
    """Revoked for `*`, a token speaks for nobody any more; one that was issued later does."""
    known = revoked(Revocation("anna", EVERY_SHOW, NOW + 500, everyone=False))
    with pytest.raises(Problem, match="was revoked") as caught:
        known.held_against(whole(0))
    assert caught.value.code is Code.UNAUTHENTICATED
    assert known.held_against(whole(1)) == whole(1)
    assert known.held_against(whole(0, subject="ben")) == whole(0, subject="ben")


def test_a_show_is_barred_and_the_others_are_not() -> None:
    """Revoked for a show, a token counts for every other; also the host who made that show is out of it."""
    known = revoked(Revocation("anna", "sh_1", NOW, everyone=True))
    for role in (Role.VIEWER, Role.HOST):
        identity = known.held_against(whole(0, role))
        assert not identity.covers("sh_1")
        assert not identity.covers("sh_1", owner="anna")
        assert identity.covers("sh_2")


def test_a_host_sends_guests_away_alone() -> None:
    """A revocation that is not for everyone bars viewers and moderators, and neither hosts nor services."""
    for everyone in (False, True):
        known = revoked(Revocation("anna", "sh_1", NOW, everyone=everyone))
        barred = {role for role in Role if known.held_against(whole(0, role)).barred}
        assert barred == (set(Role) if everyone else {Role.VIEWER, Role.MODERATOR})


def test_a_token_without_iat_is_the_oldest() -> None:
    """Who does not say when a token was issued has it revoked by any revocation of its subject."""
    tokens = Tokens(SECRET)
    end = now_ms() // 1000 + 60
    claims: dict[str, Any] = {"sub": "anna", "role": "viewer", "shows": ["*"], "exp": end}
    old = jwt.encode({**claims, "aud": "livedrop", "iss": "livedrop"}, SECRET)
    assert tokens.verify(old).issued_at == 0
    tokens.revoked.learn(Revocation("anna", EVERY_SHOW, 1, everyone=False))
    with pytest.raises(Problem):
        tokens.verify(old)
    fresh, _ = tokens.mint("anna", Role.VIEWER, ["*"], 60)
    assert now_ms() - 60_000 < tokens.verify(fresh).issued_at <= now_ms()


SCOPES = some.tuples(some.sampled_from([EVERY_SHOW, "sh_1", "sh_2"]), some.integers(0, 5), some.booleans())


@settings(deadline=None)
@given(told=some.lists(SCOPES, max_size=6), second=some.integers(0, 5), role=some.sampled_from(list(Role)))
def test_it_says_what_a_plain_list_says(told: list[tuple[str, int, bool]], second: int, role: Role) -> None:
    """In whatever order revocations came and however often: the union of what each of them bars."""
    rows = [Revocation("anna", show, NOW + at * 1000 + 1, everyone=all_) for show, at, all_ in told]
    expected = {
        each.show
        for each in rows
        if NOW + second * 1000 <= each.before and (each.everyone or role in {Role.VIEWER, Role.MODERATOR})
    }
    known = revoked(*rows)
    assert not any(known.learn(each) for each in rows), "nothing is new a second time"
    try:
        assert known.held_against(whole(second, role)).barred == expected
    except Problem:
        assert EVERY_SHOW in expected


def test_what_has_ended_is_forgotten() -> None:
    """Revocations of tokens that have all ended are let go, subject and all."""
    known = revoked(
        Revocation("anna", "sh_1", NOW, everyone=True),
        Revocation("anna", "sh_2", NOW + 2, everyone=True),
        Revocation("ben", "*", NOW, everyone=True),
    )
    known.forget(NOW + 1)
    assert known.subjects.keys() == {"anna"}
    assert whole(0).shows
    assert known.held_against(whole(0)).barred == {"sh_2"}


def test_both_ways_hold_it_against_a_token() -> None:
    """The quick way and the library's are looked at alike."""
    tokens = Tokens(SECRET)
    quick, _ = tokens.mint("anna", Role.VIEWER, ["*"], 60)
    slow = jwt.encode({**jwt.decode(quick, options={"verify_signature": False}), "more": 1}, SECRET)
    assert tokens._plain(slow) is None
    assert tokens.verify(slow) == tokens.verify(quick)
    tokens.revoked.learn(Revocation("anna", EVERY_SHOW, now_ms(), everyone=False))
    for token in (quick, slow):
        with pytest.raises(Problem, match="was revoked"):
            tokens.verify(token)
