"""Tokens: only our own are believed, each claim is checked, and nothing that a token says is ever repeated."""

from __future__ import annotations

import base64
import json
from typing import Any

import jwt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from server.auth import RIGHTS, Identity, Right, Role, Tokens, is_subject
from server.clock import now_ms
from server.errors import Code, Problem

SECRET = "a-secret-of-exactly-32-bytes-000"
OTHER = "another-secret-of-at-least-32-bytes"
MISSING = object()


def claims(**changed: Any) -> dict[str, Any]:
    """Return good claims with some of them changed, or left out with MISSING."""
    good = {
        "sub": "anna",
        "role": "viewer",
        "shows": ["sh_1"],
        "exp": now_ms() // 1000 + 60,
        "aud": "livedrop",
        "iss": "livedrop",
    }
    return {name: value for name, value in {**good, **changed}.items() if value is not MISSING}


def signed(secret: str = SECRET, algorithm: str = "HS256", **changed: Any) -> str:
    """Return a token with these claims."""
    return jwt.encode(claims(**changed), secret, algorithm=algorithm)


def refusal(token: str) -> str:
    """Assert that a token is refused as unauthenticated; return the sentence."""
    with pytest.raises(Problem) as caught:
        Tokens(SECRET).verify(token)
    assert caught.value.code is Code.UNAUTHENTICATED
    assert caught.value.status == 401
    assert not token or token not in caught.value.detail
    return caught.value.detail


def part(value: dict[str, Any]) -> str:
    """Return one part of a token made by hand."""
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")


@pytest.mark.parametrize("anonymous", [True, False])
def test_whether_somebody_is_known(anonymous: bool) -> None:  # noqa: FBT001  a parameter of the test
    """A token says it, whoever has made it; where it says nothing its owner is known."""
    token, _ = Tokens(SECRET).mint("anna", Role.VIEWER, ["sh_1"], 60, anonymous=anonymous)
    assert Tokens(SECRET).verify(token).anonymous is anonymous
    assert Tokens(SECRET).verify(signed(anonymous=anonymous)).anonymous is anonymous
    assert Tokens(SECRET).verify(signed(anonymous=anonymous, more="claims")).anonymous is anonymous
    assert not Tokens(SECRET).verify(signed()).anonymous


def test_a_good_token_is_who_it_says() -> None:
    """Subject, role, shows and end come out as they were minted."""
    tokens = Tokens(SECRET)
    token, expires_at = tokens.mint("anna", Role.MODERATOR, ["sh_1", "sh_2"], 60)
    identity = tokens.verify(token)
    shows = frozenset({"sh_1", "sh_2"})
    assert identity == Identity("anna", Role.MODERATOR, shows, expires_at, expires_at - 60_000)
    assert abs(expires_at - now_ms() - 60_000) <= 1000


def test_a_token_without_a_signature_is_none() -> None:
    """`alg: none` is refused in every spelling, with and without a signature."""
    for name in ("none", "None", "NONE", "nOnE"):
        head = part({"alg": name, "typ": "JWT"})
        for signature in ("", "x", signed().rpartition(".")[2]):
            assert "not valid" in refusal(f"{head}.{part(claims())}.{signature}")


@pytest.mark.parametrize("algorithm", ["HS384", "HS512"])
def test_only_one_algorithm_is_believed(algorithm: str) -> None:
    """Even with the right secret another algorithm is refused: there is nothing to be confused about."""
    longer = SECRET * 2
    token = jwt.encode(claims(), longer, algorithm=algorithm)
    with pytest.raises(Problem):
        Tokens(longer).verify(token)


def test_a_public_key_is_no_secret() -> None:
    """A token that says RS256 is refused whatever it was signed with."""
    head = part({"alg": "RS256", "typ": "JWT"})
    signature = signed().rpartition(".")[2]
    assert "not valid" in refusal(f"{head}.{part(claims())}.{signature}")


def test_a_header_does_not_choose_the_key() -> None:
    """Keys named or brought along in the header (`jwk`, `jku`, `kid`) are not looked at."""
    key = base64.urlsafe_b64encode(OTHER.encode()).decode()
    for extra in (
        {"jwk": {"kty": "oct", "k": key}},
        {"jku": "http://127.0.0.1/k"},
        {"kid": "../../dev/null"},
    ):
        assert "not valid" in refusal(jwt.encode(claims(), OTHER, algorithm="HS256", headers=extra))


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"aud": "others"}, "InvalidAudienceError"),
        ({"aud": MISSING}, "MissingRequiredClaimError"),
        ({"iss": "others"}, "InvalidIssuerError"),
        ({"iss": MISSING}, "MissingRequiredClaimError"),
        ({"exp": MISSING}, "MissingRequiredClaimError"),
        ({"exp": "soon"}, "not valid"),
        ({"exp": None}, "not valid"),
        ({"exp": 1}, "The token has expired."),
        ({"iat": "soon"}, "not valid"),
        ({"iat": None}, "not valid"),
        ({"iat": True}, "not valid"),
        ({"iat": float("inf")}, "not valid"),
        ({"iat": 2**40}, "ImmatureSignatureError"),
        ({"nbf": 2**40}, "ImmatureSignatureError"),
        ({"sub": MISSING}, "MissingRequiredClaimError"),
        ({"sub": ""}, "sub or shows"),
        ({"sub": "x" * 129}, "sub or shows"),
        ({"sub": " anna"}, "sub or shows"),
        ({"sub": "an\nna"}, "sub or shows"),
        ({"sub": "an\0na"}, "sub or shows"),
        ({"role": MISSING}, "not valid"),
        ({"role": "king"}, "not valid"),
        ({"role": "HOST"}, "not valid"),
        ({"role": ["host"]}, "not valid"),
        ({"role": None}, "not valid"),
        ({"shows": "*"}, "sub or shows"),
        ({"shows": {"sh_1": 1}}, "sub or shows"),
        ({"shows": [1]}, "sub or shows"),
        ({"shows": None}, "sub or shows"),
    ],
)
def test_every_claim_is_checked(changed: dict[str, Any], said: str) -> None:
    """Signed by us and still not believed: audience, issuer, end, subject, role and shows must be right."""
    assert said in refusal(signed(**changed))


@pytest.mark.parametrize("subject", [7, ["anna"], {"a": 1}, None, True])
def test_a_subject_is_text(subject: object) -> None:
    """Nothing else names anybody."""
    head = part({"alg": "HS256", "typ": "JWT"})
    body = part(claims(sub=subject))
    signature = jwt.get_algorithm_by_name("HS256").sign(f"{head}.{body}".encode(), SECRET.encode())
    refusal(f"{head}.{body}.{base64.urlsafe_b64encode(signature).decode().rstrip('=')}")


def test_another_secret_or_a_changed_claim_is_refused() -> None:
    """The signature covers every claim."""
    refusal(signed(OTHER))
    head, _body, signature = signed().split(".")
    refusal(f"{head}.{part(claims(role='host'))}.{signature}")
    assert "not valid" in refusal(signed()[:-2])


@settings(deadline=None)
@given(token=some.text(max_size=200) | some.from_regex(r"\A[\w-]*\.[\w-]*\.[\w-]*\Z"))
def test_any_text_is_refused(token: str) -> None:
    """Whatever somebody writes into the header, it is a problem and not a crash."""
    with pytest.raises(Problem):
        Tokens(SECRET).verify(token)


def thorough(tokens: Tokens, token: str) -> Identity:
    """Return what the library's way says of one of our own."""
    return tokens._any(token, SECRET, "HS256")


def test_our_own_tokens_take_the_quick_way() -> None:
    """What `mint` writes is understood without the library; the identity is the same."""
    tokens = Tokens(SECRET)
    token, _expires_at = tokens.mint("anna", Role.VIEWER, ["sh_1", "sh_2"], 60)
    assert tokens._plain(token) == thorough(tokens, token) == tokens.verify(token)


CLAIMS = some.fixed_dictionaries(
    {},
    optional={
        "sub": some.sampled_from(["anna", "", " x", "a\nb"]) | some.integers(),
        "role": some.sampled_from(["viewer", "host", "king", 1]),
        "shows": some.lists(some.text(max_size=3) | some.integers(), max_size=2) | some.text(max_size=2),
        "exp": some.integers(-(2**40), 2**40) | some.floats() | some.just("soon"),
        "aud": some.sampled_from(["livedrop", ["livedrop"], "other", MISSING]),
        "iss": some.sampled_from(["livedrop", "other", MISSING]),
        "nbf": some.integers(0, 2**40),
        "iat": some.integers(-(2**40), 2**40) | some.floats() | some.just("then"),
        "more": some.text(max_size=3),
    },
)


@settings(deadline=None, max_examples=300)
@given(
    changed=CLAIMS,
    cut=some.integers(0, 3),
    text=some.sampled_from(["", "=", "+", "/", " ", "A", ".", "\n", "é"]),
)
def test_the_quick_way_believes_nothing_that_the_library_refuses(
    changed: dict[str, Any], cut: int, text: str
) -> None:
    """For any claims, signed rightly and then perhaps bent: what is believed quickly is what the library says."""
    tokens = Tokens(SECRET)
    token = signed(**changed)
    for bent in (token, token[: len(token) - cut] + text, token[:40] + text + token[40:]):
        quick = tokens._plain(bent)
        if quick is not None:
            assert quick == thorough(tokens, bent)


def test_a_short_secret_is_refused() -> None:
    """31 bytes are too few, 32 are enough; the sentence has the numbers and not the secret."""
    with pytest.raises(ValueError, match=r"31 bytes, at least 32") as caught:
        Tokens(SECRET[:-1])
    assert SECRET[:-1] not in str(caught.value)
    Tokens(SECRET)


def test_issuers_do_not_believe_each_other() -> None:
    """Two deployments with one secret and two names stay apart."""
    token, _end = Tokens(SECRET, "staging").mint("anna", Role.VIEWER, ["*"], 60)
    with pytest.raises(Problem):
        Tokens(SECRET).verify(token)
    assert Tokens(SECRET, "staging").verify(token).subject == "anna"


def test_what_a_token_covers() -> None:
    """The shows that it names, every show with `*`, and for hosts what they made themselves."""

    def identity(role: Role, *shows: str) -> Identity:
        return Identity("anna", role, frozenset(shows), 0)

    assert identity(Role.VIEWER, "sh_1").covers("sh_1")
    assert not identity(Role.VIEWER, "sh_1").covers("sh_2")
    assert identity(Role.VIEWER, "*").covers("sh_2")
    assert not identity(Role.VIEWER).covers("sh_1", owner="anna")
    assert identity(Role.HOST).covers("sh_1", owner="anna")
    assert not identity(Role.HOST).covers("sh_1", owner="berta")


def test_the_rights_of_the_roles() -> None:
    """The table, whole: who buys does not run, who runs does not buy, and a service does neither."""
    everybody = {Right.LOOK}
    assert {role: set(rights) for role, rights in RIGHTS.items()} == {
        Role.HOST: everybody | {Right.WATCH, Right.RUN, Right.IMPORT, Right.MINT, Right.SUBSCRIBE},
        Role.MODERATOR: everybody | {Right.WATCH},
        Role.VIEWER: everybody | {Right.WATCH, Right.BUY},
        Role.SERVICE: everybody | {Right.MINT, Right.IMPORT, Right.SUBSCRIBE},
    }


@settings(deadline=None)
@given(value=some.text(max_size=140))
def test_a_subject_never_breaks_a_line(value: str) -> None:
    """Whatever is a subject is one printable line of at most 128 characters without blanks at its ends."""
    if is_subject(value):
        assert value == value.strip()
        assert len(value.splitlines()) == 1
        assert 1 <= len(value) <= 128
