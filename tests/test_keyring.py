"""The keys of somebody else's tokens: which sets are used, and how they are kept up to date."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from server import keyring
from server.keyring import Keyring, KeyringError, parsed
from tests.foreign import FAMILIES, jwk, jwks, pair
from tests.waiting import wait_for

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

OK = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\nConnection: close\r\n\r\n"


class Source:
    """A place on this machine that publishes a set, and counts how often it was asked."""

    def __init__(self) -> None:
        self.body = jwks(jwk(pair("EdDSA"), kid="one"))
        self.head = OK
        self.asked = 0
        self.url = ""
        self.held: asyncio.Event | None = None  # until it answers

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        self.asked += 1
        if self.held is not None:
            await self.held.wait()
        head = self.head % len(self.body) if b"%d" in self.head else self.head
        writer.write(head + self.body)
        writer.close()


@pytest.fixture
async def source() -> AsyncIterator[Source]:
    """Give a place that serves keys."""
    one = Source()
    server = await asyncio.start_server(one.answer, "127.0.0.1", 0)
    one.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/keys"
    async with server:
        yield one


class Clock:
    """Time that passes when the test says so."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Iterator[Clock]:
    """Give the keyring's clock."""
    one = Clock()
    monkeypatch.setattr(keyring, "monotonic", one)
    return one  # type: ignore[return-value]  # nothing to undo


@asynccontextmanager
async def running(ring: Keyring) -> AsyncIterator[None]:
    task = asyncio.create_task(ring.run())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


@pytest.mark.parametrize("family", FAMILIES)
def test_the_keys_say_the_algorithm(family: str) -> None:
    """A set of one family is used; each of its keys is found by its name, and no other."""
    found = parsed(jwks(jwk(pair(family), kid="a"), jwk(pair(family, 1), kid="b", use="sig")))
    assert found.algorithm == family
    assert found.keys.keys() == {"a", "b"}
    assert found.find("a") is not None
    for unknown in ("c", None, "", 1, ["a"]):
        assert found.find(unknown) is None


def test_the_only_key_need_not_be_named() -> None:
    """A token without `kid` is for the only key; one that names another is not, unless the key has no name."""
    named, nameless = parsed(jwks(jwk(pair("EdDSA"), kid="a"))), parsed(jwks(jwk(pair("EdDSA"))))
    assert named.find(None) is named.find("a") is not None
    assert named.find("b") is None
    assert nameless.find("b") is nameless.find(None) is not None


def test_keys_for_encryption_are_passed_over() -> None:
    """Many publish those beside the others; they are not looked at, whatever their kind."""
    other = {"kty": "RSA", "use": "enc", "alg": "RSA-OAEP", "kid": "e", "n": "x", "e": "AQAB"}
    assert parsed(jwks(other, jwk(pair("ES256"), kid="a"))).keys.keys() == {"a"}


def small() -> Any:
    return rsa.generate_private_key(public_exponent=65_537, key_size=1024)  # noqa: S505  to be refused


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        (b"", "not a JWK set"),
        (b"[]", "not a JWK set"),
        (b'{"keys": 1}', "not a JWK set"),
        (b'{"keys": [1]}', "not a JWK set"),
        (b'{"keys": ["ab"]}', "not a JWK set"),
        (b"[" * 100_000, "not a JWK set"),
        (b'{"keys": []}', "0 keys for signatures"),
        (jwks({"kty": "oct", "k": "c2VjcmV0"}), "kty oct"),
        (jwks({"kty": ["RSA"]}), "kty ['RSA']"),
        (jwks({"kty": "EC", "crv": "P-521"}), "crv P-521"),
        (jwks({"kty": "OKP", "crv": "Ed448"}), "crv Ed448"),
        (jwks({"kty": "RSA", "n": "!", "e": "AQAB"}), "cannot be read"),
        (jwks({"kty": "RSA"}), "cannot be read"),
        (jwks(jwk(pair("RS256"), kid="a"), jwk(pair("ES256"), kid="b")), "ES256 and RS256"),
        (jwks(jwk(pair("RS256"), alg="PS256")), "a key for PS256"),
        (jwks(jwk(pair("ES256"), alg="HS256")), "a key for HS256"),
        (jwks(jwk(pair("EdDSA")), jwk(pair("EdDSA", 1))), "a kid of its own"),
        (jwks(jwk(pair("EdDSA"), kid="a"), jwk(pair("EdDSA", 1), kid="a")), "a kid of its own"),
        (jwks(jwk(pair("EdDSA"), kid="a"), jwk(pair("EdDSA", 1))), "a kid of its own"),
        (jwks(jwk(pair("EdDSA"), kid=["a"])), "kid"),
        (jwks(jwk(pair("EdDSA"), d="x")), "holds a private key"),
        (jwks(jwk(pair("EdDSA"), use="other")), "not for verifying"),
        (jwks(jwk(pair("EdDSA"), key_ops=["sign"])), "not for verifying"),
        (jwks(jwk(pair("EdDSA"), key_ops=1)), "not for verifying"),
        (jwks(jwk(small())), "1024 bits"),
        (jwks(*(jwk(pair("EdDSA"), kid=f"{n}") for n in range(33))), "33 keys"),
        (jwks(jwk(ec.generate_private_key(ec.SECP384R1()))), "crv P-384"),
    ],
)
def test_what_is_no_set_of_one_family_is_refused(raw: bytes, said: str) -> None:
    """Secrets, private keys, several families, weak or unreadable keys: a sentence says what is wrong."""
    with pytest.raises(KeyringError) as caught:
        parsed(raw)
    assert said in str(caught.value)


@pytest.mark.parametrize(
    "place", ["http://keys.example/", "http://127.0.0.1.keys.example/", "ftp://h/k", "file:///k"]
)
def test_only_https_is_fetched(place: str) -> None:
    """Plain http is for this very machine, and there in development alone."""
    with pytest.raises(KeyringError, match="https:// address is expected"):
        Keyring(place, loopback=True)
    with pytest.raises(KeyringError):
        Keyring("http://127.0.0.1/keys", loopback=False)
    for here in ("http://127.0.0.1/keys", "http://localhost:1/keys", "http://[::1]/keys"):
        Keyring(here, loopback=True)
    Keyring("https://keys.example/keys", loopback=False)


async def test_a_file_is_read(tmp_path: Path) -> None:
    """A path is as good as an address; one that is not there is said so."""
    file = tmp_path / "keys.json"
    ring = Keyring(str(file), loopback=False)
    with pytest.raises(KeyringError, match="cannot be read"):
        await ring.load()
    file.write_bytes(jwks(jwk(pair("ES256"), kid="a")))
    await ring.load()
    assert (ring.algorithm, ring.find("a") is not None) == ("ES256", True)


@pytest.mark.parametrize(
    ("head", "body", "said"),
    [
        (b"HTTP/1.1 302 Found\r\nLocation: /keys\r\nContent-Length: 0\r\n\r\n", b"", "answered 302"),
        (b"HTTP/1.1 500 Oh\r\nContent-Length: 0\r\n\r\n", b"", "answered 500"),
        (OK, b'{"keys": ' + b" " * 300_000 + b"[]}", "larger than 262144 bytes"),
        (OK, b"<html>", "not a JWK set"),
        (b"nonsense\r\n\r\n", b"", "cannot be read"),
    ],
)
async def test_a_bad_answer_changes_nothing(source: Source, head: bytes, body: bytes, said: str) -> None:
    """No redirect is followed, no flood is read, nonsense is refused; the keys of before live on."""
    ring = Keyring(source.url, loopback=True)
    await ring.load()
    source.head, source.body = head, body
    with pytest.raises(KeyringError) as caught:
        await ring.load()
    assert said in str(caught.value)
    assert ring.find("one") is not None
    assert source.asked == 2


async def test_who_does_not_answer_is_not_waited_for(source: Source, monkeypatch: pytest.MonkeyPatch) -> None:
    """A source that is silent has a bounded time, and the keys of before live on."""
    ring = Keyring(source.url, loopback=True)
    await ring.load()
    source.held = asyncio.Event()
    monkeypatch.setattr(keyring, "READ_SECONDS", 0.05)
    with pytest.raises(KeyringError, match="did not answer within"):
        await ring.load()
    source.held.set()
    assert ring.find("one") is not None


async def test_an_unknown_key_is_looked_for_once_a_minute(source: Source, clock: Clock) -> None:
    """Whoever makes up names costs the source one look in 60 s; a key that came meanwhile is found by it."""
    ring = Keyring(source.url, loopback=True)
    await ring.load()
    assert not ring.ask(), "the last look was just now"
    clock.now += 60.0
    source.body = jwks(jwk(pair("EdDSA"), kid="one"), jwk(pair("EdDSA", 1), kid="two"))
    async with running(ring):
        assert [ring.ask() for _ in range(100)] == [True] * 100
        await wait_for(lambda: ring.find("two") is not None, "the new key is found")
        await wait_for(lambda: not ring.ask(), "the look is over")
        assert source.asked == 2
        clock.now += 59.9
        assert not ring.ask()


async def test_one_look_at_a_time(source: Source, clock: Clock) -> None:
    """While a look is under way, however long, another one is not begun; its asker is told that one is coming."""
    ring = Keyring(source.url, loopback=True)
    async with running(ring):
        source.held = asyncio.Event()
        assert ring.ask()
        await wait_for(lambda: source.asked == 1, "the source is asked")
        clock.now += 1000.0
        assert ring.ask()
        source.held.set()
        await wait_for(lambda: ring.find("one") is not None, "the key is found")
    assert source.asked == 1


async def test_a_look_that_fails_is_followed_by_another(source: Source, clock: Clock) -> None:
    """A source that was away for a look is asked again when the minute is over."""
    ring = Keyring(source.url, loopback=True)
    source.head = b"HTTP/1.1 503 Away\r\nContent-Length: 0\r\n\r\n"
    source.body = b""
    async with running(ring):
        assert ring.ask()
        await wait_for(lambda: source.asked == 1 and not ring.ask(), "the first look is over")
        source.head, source.body = OK, jwks(jwk(pair("EdDSA"), kid="one"))
        clock.now += 60.0
        assert ring.ask()
        await wait_for(lambda: ring.find("one") is not None, "the key is found")


async def test_a_withdrawn_key_is_believed_no_longer(source: Source, monkeypatch: pytest.MonkeyPatch) -> None:
    """The source is also read when nobody asks, so a key that it lists no more goes."""
    ring = Keyring(source.url, loopback=True)
    await ring.load()
    source.body = jwks(jwk(pair("EdDSA", 1), kid="two"))
    monkeypatch.setattr(keyring, "REFRESH_SECONDS", 0.01)
    async with running(ring):
        await wait_for(lambda: ring.find("one") is None, "the old key is gone")
        assert ring.find("two") is not None
