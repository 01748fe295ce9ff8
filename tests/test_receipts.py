"""Receipts: signed by this server alone, checked with its public key alone, never a token; and what they say."""

from __future__ import annotations

import base64
import json
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as some

from server.auth import Role, Tokens
from server.errors import Code, Problem
from server.receipts import (
    AUDIENCE,
    MAX_LENGTH,
    TYPE,
    Receipt,
    ReceiptError,
    Receipts,
    _public_jwk,
    ordinal,
    sentence,
    verify,
)

SECRET = "a-secret-of-exactly-32-bytes-000"
OTHER = "another-secret-of-at-least-32-bytes"
REFUSED = Receipt(
    sub="anna",
    show="sh_1",
    drop="dr_1_2",
    operation="op-1",
    outcome="out-of-stock",
    quantity=1,
    at=1_900_000_000_312,
    after_opening_ms=312,
    after_sold_out_ms=41,
    available=0,
    held=3,
)


def part(value: dict[str, Any]) -> str:
    """Return one part of a JWS made by hand."""
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")


def opened(text: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return a receipt's header and claims, unchecked."""
    return jwt.get_unverified_header(text), jwt.decode(text, options={"verify_signature": False})


def refusal(text: str, jwks: dict[str, Any] | None = None) -> str:
    """Assert that a text is no receipt; return the sentence, which must not repeat it."""
    with pytest.raises(ReceiptError) as caught:
        verify(text, jwks or Receipts(SECRET).jwks)
    assert not text or text not in str(caught.value)
    return str(caught.value)


def signed(key: Any = None, algorithm: str = "EdDSA", typ: str = TYPE, kid: str = "", **changed: Any) -> str:
    """Return a receipt signed with the server's own key, with a header and claims of choice."""
    own = Receipts(SECRET)
    claims = {"sub": "a", "show": "s", "drop": "d", "outcome": "held", "quantity": 1, "at": 1}
    claims |= {"iss": "livedrop", "aud": AUDIENCE, **changed}
    claims = {name: value for name, value in claims.items() if value is not ...}
    headers = {"typ": typ, "kid": kid or own.jwks["keys"][0]["kid"]}
    return jwt.encode(claims, own._key if key is None else key, algorithm=algorithm, headers=headers)


def test_what_is_signed_is_what_is_read() -> None:
    """Facts come back whole; absent ones stay absent; the header says what it is and which key to take."""
    text = Receipts(SECRET).sign(REFUSED)
    assert verify(text, Receipts(SECRET).jwks) == REFUSED
    assert Receipts(SECRET).verify(text) == REFUSED
    header, claims = opened(text)
    assert header == {"alg": "EdDSA", "typ": TYPE, "kid": Receipts(SECRET).jwks["keys"][0]["kid"]}
    assert claims.keys() == {
        *(
            "sub",
            "show",
            "drop",
            "operation",
            "outcome",
            "quantity",
            "at",
            "after_opening_ms",
            "after_sold_out_ms",
        ),
        *("available", "held", "iss", "aud"),
    }
    assert len(text) < MAX_LENGTH


def test_every_process_signs_alike() -> None:
    """One secret and issuer, one key, and equal facts give equal text; another secret or issuer has another key."""
    assert Receipts(SECRET).sign(REFUSED) == Receipts(SECRET).sign(REFUSED)
    kids = {
        one.jwks["keys"][0]["kid"] for one in (Receipts(SECRET), Receipts(OTHER), Receipts(SECRET, "staging"))
    }
    assert len(kids) == 3
    for foreign in (Receipts(OTHER), Receipts(SECRET, "staging")):
        assert "None of the keys" in refusal(foreign.sign(REFUSED))


def test_the_public_keys_hold_no_secret() -> None:
    """The JWK set has the public half alone, as any JOSE library reads it."""
    jwks = Receipts(SECRET).jwks
    (key,) = jwks["keys"]
    assert key.keys() == {"kty", "crv", "x", "kid", "alg", "use"}
    assert (key["kty"], key["crv"], key["alg"], key["use"]) == ("OKP", "Ed25519", "EdDSA", "sig")
    assert SECRET not in json.dumps(jwks)
    library = jwt.PyJWKSet.from_dict(jwks)[key["kid"]]
    claims = jwt.decode(Receipts(SECRET).sign(REFUSED), library, algorithms=["EdDSA"], audience=AUDIENCE)
    assert claims["sub"] == "anna"


def test_a_key_is_written_as_the_rfc_writes_it() -> None:
    """RFC 8037, appendix A.1 to A.3: a key, its public half and its thumbprint."""
    secret = bytes.fromhex("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60")
    public = _public_jwk(Ed25519PrivateKey.from_private_bytes(secret).public_key())
    assert public["x"] == "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"
    assert public["kid"] == "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"


def test_a_receipt_is_no_token() -> None:
    """Whoever holds a receipt cannot log in with it, whatever claims it may carry."""
    own = Receipts(SECRET)
    for text in (
        own.sign(REFUSED),
        signed(aud="livedrop", role="host", shows=["*"], exp=2**40),
        signed(typ="JWT", aud="livedrop", role="host", shows=["*"], exp=2**40),
    ):
        with pytest.raises(Problem) as caught:
            Tokens(SECRET).verify(text)
        assert caught.value.code is Code.UNAUTHENTICATED


def test_a_token_is_no_receipt() -> None:
    """A login token is none, nor one that calls itself a receipt, with whichever secret it is signed."""
    token, _end = Tokens(SECRET).mint("anna", Role.VIEWER, ["*"], 60)
    assert "type" in refusal(token)
    public = Receipts(SECRET)._key.public_key().public_bytes_raw()
    for secret in (SECRET.encode(), public):
        assert "not valid" in refusal(signed(secret, algorithm="HS256"))


def test_a_receipt_without_a_signature_is_none() -> None:
    """`alg: none` is refused, with and without a signature."""
    kid = Receipts(SECRET).jwks["keys"][0]["kid"]
    _header, claims = opened(signed())
    for name in ("none", "None", "EdDSA"):
        head = part({"alg": name, "typ": TYPE, "kid": kid})
        for signature in ("", "AAAA", signed().rpartition(".")[2][:-4]):
            refusal(f"{head}.{part(claims)}.{signature}")


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"aud": "livedrop"}, "InvalidAudienceError"),
        ({"aud": ...}, "MissingRequiredClaimError"),
        ({"iss": ...}, "MissingRequiredClaimError"),
        ({"sub": ...}, "MissingRequiredClaimError"),
        ({"at": "now"}, "ValidationError"),
        ({"quantity": ...}, "ValidationError"),
        ({"rank": None}, "ValidationError"),
        ({"typ": "JWT"}, "type"),
        ({"kid": "another"}, "None of the keys"),
        ({"key": Ed25519PrivateKey.from_private_bytes(b"1" * 32)}, "signature"),
    ],
)
def test_everything_is_checked(changed: dict[str, Any], said: str) -> None:
    """Right but for one thing, and still not believed: audience, facts, type, key and signature."""
    assert said in refusal(signed(**changed))


def test_a_changed_fact_shows() -> None:
    """The signature covers every fact."""
    head, _body, signature = Receipts(SECRET).sign(REFUSED).split(".")
    _header, claims = opened(Receipts(SECRET).sign(REFUSED))
    assert "signature" in refusal(f"{head}.{part({**claims, 'after_opening_ms': 1})}.{signature}")


def test_a_receipt_does_not_bring_its_key() -> None:
    """A key in the header (`jwk`, `jku`) is not looked at: only the set that one trusts counts."""
    mine = Receipts(OTHER)
    headers = {
        "typ": TYPE,
        "kid": mine.jwks["keys"][0]["kid"],
        "jwk": mine.jwks["keys"][0],
        "jku": "http://127.0.0.1",
    }
    claims = {"sub": "a", "iss": "livedrop", "aud": AUDIENCE}
    assert "None of the keys" in refusal(jwt.encode(claims, mine._key, algorithm="EdDSA", headers=headers))


@pytest.mark.parametrize(
    "jwks",
    [
        {},
        {"keys": None},
        {"keys": 7},
        {"keys": [7]},
        {"keys": [{"kid": "k"}]},
        {"keys": [{"kid": "k", "kty": "oct", "k": "c2VjcmV0"}]},
        {"keys": [{"kid": "k", "kty": "OKP", "crv": "Ed25519", "x": "c2hvcnQ"}]},
        {"keys": [{"kid": "k", "kty": "OKP", "crv": "Ed25519", "x": "AA", "d": "AA"}]},
    ],
)
def test_a_set_of_other_things_has_no_key(jwks: dict[str, Any]) -> None:
    """Whatever stands in a JWK set, a receipt is refused by it and nothing crashes."""
    refusal(signed(kid="k"), jwks)


@settings(deadline=None)
@given(text=some.text(max_size=200) | some.from_regex(r"\A[\w-]*\.[\w-]*\.[\w-]*\Z"))
def test_any_text_is_refused(text: str) -> None:
    """Whatever somebody shows, it is an error with a sentence and not a crash."""
    with pytest.raises(ReceiptError):
        Receipts(SECRET).verify(text)


def test_a_long_text_is_not_looked_at() -> None:
    """A text longer than any receipt is refused by its length."""
    assert refusal("x" * (MAX_LENGTH + 1)) == "It has 4097 characters, a receipt has 4096 at most."


def told(outcome: str, quantity: int = 1, **facts: Any) -> str:
    """Return what a receipt with these facts says."""
    return sentence(Receipt(sub="a", show="s", drop="d", outcome=outcome, quantity=quantity, at=1, **facts))


def test_what_receipts_say() -> None:
    """Every outcome in words, with its numbers."""
    assert sentence(REFUSED) == (
        "You asked for 1 unit 312 ms after the opening, 41 ms after the last unit went: none was available, "
        "3 held by others could still come back."
    )
    assert told("out-of-stock", available=0, held=0, after_opening_ms=5) == (
        "You asked for 1 unit 5 ms after the opening: none was available, all were sold."
    )
    assert told("out-of-stock", 5, available=2, held=9) == "You asked for 5 units: 2 were available."
    assert told("out-of-stock", 5, available=1, held=9) == "You asked for 5 units: 1 was available."
    assert told("held", 2, rank=3, after_opening_ms=12) == (
        "You were 3rd: 2 units were held for you 12 ms after the opening."
    )
    assert told("held", rank=1, position=4, queued=2, after_opening_ms=12) == (
        "You were 1st: 1 unit was held for you 12 ms after the opening; you wait for 2 more as number 4."
    )
    assert told("replayed", rank=22, after_opening_ms=5000) == (
        "You had asked before and were 22nd: 1 unit was held for you; you asked again 5000 ms after the opening."
    )
    assert told("waiting", 2, position=7, after_opening_ms=312) == (
        "You wait for 2 units as number 7: you asked 312 ms after the opening."
    )
    assert (
        told("limit-reached", 2, after_opening_ms=9)
        == "You asked for 2 units 9 ms after the opening: limit-reached."
    )


def test_places_in_words() -> None:
    """English ordinals, the teens among them."""
    numbers = (1, 2, 3, 4, 10, 11, 12, 13, 21, 22, 23, 101, 111, 112)
    words = "1st 2nd 3rd 4th 10th 11th 12th 13th 21st 22nd 23rd 101st 111th 112th"
    assert " ".join(ordinal(number) for number in numbers) == words
