"""Tokens that somebody else makes: believed by their keys alone, of one family, and never by our own secret."""

from __future__ import annotations

import hmac
from base64 import urlsafe_b64encode
from hashlib import sha256
from typing import TYPE_CHECKING, Any

import jwt
import msgspec
import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from server import keyring
from server.auth import Role, Tokens
from server.errors import Code, Problem
from server.keyring import Keyring
from tests.foreign import FAMILIES, claims, jwk, jwks, pair, signed

if TYPE_CHECKING:
    from pathlib import Path

SECRET = "a-secret-of-exactly-32-bytes-000"


@pytest.fixture(params=FAMILIES)
def family(request: pytest.FixtureRequest) -> str:
    """Give each family in turn."""
    name: str = request.param
    return name


@pytest.fixture
async def tokens(family: str, tmp_path: Path) -> Tokens:
    """Give a server's tokens where others make them, with two keys."""
    return Tokens(SECRET, "livedrop", await ring_of(family, tmp_path))


async def ring_of(family: str, folder: Path) -> Keyring:
    file = folder / "keys.json"
    file.write_bytes(jwks(jwk(pair(family), kid="a"), jwk(pair(family, 1), kid="b")))
    ring = Keyring(str(file), loopback=False)
    await ring.load()
    return ring


def refusal(tokens: Tokens, token: str, code: Code = Code.UNAUTHENTICATED) -> str:
    """Assert that a token is refused; return the sentence."""
    with pytest.raises(Problem) as caught:
        tokens.verify(token)
    assert caught.value.code is code, caught.value.detail
    assert token not in caught.value.detail
    return caught.value.detail


def by_hand(header: dict[str, Any], secret: bytes) -> str:
    """Return a token with an HMAC of this secret, whatever its header says."""

    def part(value: object) -> str:
        return urlsafe_b64encode(msgspec.json.encode(value)).decode().rstrip("=")

    head = f"{part(header)}.{part(claims())}"
    mac = hmac.digest(secret, head.encode(), sha256)
    return f"{head}.{urlsafe_b64encode(mac).decode().rstrip('=')}"


def test_their_tokens_are_believed(tokens: Tokens, family: str) -> None:
    """Signed by a key of the set, with all claims: subject, role and shows are as it says."""
    for number, kid in enumerate("ab"):
        identity = tokens.verify(signed(family, number, {"kid": kid}, role="host", aud=["other", "livedrop"]))
        assert (identity.subject, identity.role, sorted(identity.shows)) == ("anna", Role.HOST, ["sh_1"])


def public_forms(family: str) -> list[bytes]:
    """Return the public key as whoever forges may have it."""
    public = pair(family).public_key()
    pem = public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    der = public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    published = jwk(pair(family), kid="a")
    return [pem, pem.strip(), der, jwks(published), published["n" if family == "RS256" else "x"].encode()]


def test_a_public_key_is_no_secret(tokens: Tokens, family: str) -> None:
    """Key confusion: what is signed with HS256 by the public key, which everybody has, is refused."""
    for form in public_forms(family):
        for claimed in ("HS256", family):
            refusal(tokens, by_hand({"alg": claimed, "typ": "JWT", "kid": "a"}, form))


def test_the_forgery_would_be_believed_by_a_careless_server(
    tokens: Tokens, family: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Negative control: a keyring that lets the token choose the algorithm believes the very same forgery."""
    forged = by_hand({"alg": "HS256", "typ": "JWT", "kid": "a"}, public_forms(family)[-1])
    refusal(tokens, forged)
    monkeypatch.setattr(keyring.Keyring, "algorithm", "HS256")
    monkeypatch.setattr(keyring.Keyring, "find", lambda _ring, _kid: public_forms(family)[-1])
    assert tokens.verify(forged).subject == "anna"


def test_our_own_tokens_count_no_longer(tokens: Tokens) -> None:
    """Where others make the tokens, HS256 is refused even with the right secret: one family at a time."""
    own, _ = Tokens(SECRET).mint("anna", Role.VIEWER, ["*"], 60)
    assert "is expected" in refusal(tokens, own)
    assert "is expected" in refusal(tokens, jwt.encode(claims(), SECRET, headers={"kid": "a"}))


def test_without_a_keyring_theirs_do_not_count(family: str) -> None:
    """And the other way round."""
    refusal(Tokens(SECRET), signed(family, 0, {"kid": "a"}))


@pytest.mark.parametrize("other", FAMILIES)
def test_another_family_is_refused(tokens: Tokens, family: str, other: str) -> None:
    """A key pair of another family signs nothing here, whatever it is called."""
    if other != family:
        assert "is expected" in refusal(tokens, signed(other, 0, {"kid": "a"}))


def test_the_signature_is_checked(tokens: Tokens, family: str) -> None:
    """Another key of the same family, or the wrong one of the two, does not do."""
    refusal(tokens, signed(family, 2, {"kid": "a"}))
    refusal(tokens, signed(family, 0, {"kid": "b"}))
    head, _body, signature = signed(family, 0, {"kid": "a"}).split(".")
    _head, other, _signature = signed(family, 0, {"kid": "a"}, role="host").split(".")
    refusal(tokens, f"{head}.{other}.{signature}")


def test_no_signature_is_none(tokens: Tokens) -> None:
    """`alg: none` in every spelling."""
    for name in ("none", "None", "NONE", ""):
        refusal(tokens, by_hand({"alg": name, "kid": "a"}, b"").rpartition(".")[0] + ".")


def test_with_several_keys_a_token_names_its_own(tokens: Tokens, family: str) -> None:
    """Without `kid`, or with one that is no text, nobody guesses."""
    assert "key is not known" in refusal(tokens, signed(family))
    refusal(tokens, by_hand({"alg": family, "kid": ["a"]}, b"x"))


@pytest.mark.parametrize(
    "extra", [{"crit": ["exp"], "exp": 1}, {"crit": ["b64"], "b64": False}, {"crit": []}, {"crit": "x"}]
)
def test_what_is_critical_and_unknown_is_refused(tokens: Tokens, family: str, extra: dict[str, Any]) -> None:
    """RFC 7515, 4.1.11: who does not understand what is critical must refuse."""
    good = signed(family, 0, {"kid": "a"})
    head, body, _signature = good.split(".")
    header = msgspec.json.encode({**jwt.get_unverified_header(good), **extra})
    head = urlsafe_b64encode(header).decode().rstrip("=")
    algorithm = jwt.get_algorithm_by_name(family)
    signature = algorithm.sign(f"{head}.{body}".encode(), pair(family))
    refusal(tokens, f"{head}.{body}.{urlsafe_b64encode(signature).decode().rstrip('=')}")


@pytest.mark.parametrize(
    "changed",
    [
        {"exp": None},
        {"aud": None},
        {"iss": None},
        {"sub": None},
        {"role": None},
        {"exp": 1},
        {"aud": "other"},
        {"iss": "https://other.example"},
        {"iat": "soon"},
        {"iat": 2**40},
        {"nbf": 2**40},
        {"role": "king"},
        {"shows": "*"},
    ],
)
def test_every_claim_is_checked(tokens: Tokens, family: str, changed: dict[str, Any]) -> None:
    """Signed rightly and still refused: `exp`, `aud`, `iss` and the rest are as needed as in our own."""
    refusal(tokens, signed(family, 0, {"kid": "a"}, **changed))


def test_an_unknown_key_is_looked_for(tokens: Tokens, family: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """While the source may be read again the answer is "come back", and no verdict; else it is 401."""
    token = signed(family, 2, {"kid": "new"})
    assert "key is not known" in refusal(tokens, token)
    monkeypatch.setattr(keyring, "PAUSE_SECONDS", -1.0)
    assert "is being looked for" in refusal(tokens, token, Code.UNAVAILABLE)


def test_nobody_asks_for_keys_with_a_wrong_algorithm(tokens: Tokens, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only a token that could be one of theirs lets the source be read."""
    monkeypatch.setattr(keyring, "PAUSE_SECONDS", -1.0)
    refusal(tokens, by_hand({"alg": "HS256", "kid": "new"}, b"x"))


def test_this_server_makes_no_tokens_then(tokens: Tokens) -> None:
    """It has no private key; the sentence says who makes them."""
    with pytest.raises(Problem, match="livedrop makes them") as caught:
        tokens.mint("anna", Role.VIEWER, ["*"], 60)
    assert caught.value.code is Code.NOT_ALLOWED
