"""Where a buyer lives and how they are reached is readable nowhere but in the answers to those who may know."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import httpx
import msgspec
import pytest

from server import ids
from server.auth import Role
from server.seal import Seal
from server.store.redis import connect
from tests.server import SECRET, ServerProcess, own_server
from tests.stage import Stage
from tests.waiting import wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from server.store.redis import Redis

MARK = "Verborgene-Gasse-77"  # stands in the address
MAIL = "verborgen@post.example"
OPEN = "Offene-Strasse-1"  # stands where everybody may read it: what the search must find
CARD = "tok_timeout_then_ok"  # its order waits in the store for a while, with all that is known of it


@pytest.fixture
def talking(tmp_path: Path) -> Iterator[ServerProcess]:
    """Give a server that logs all it can, on stores of its own: their files are looked through."""
    with own_server(tmp_path, {"LIVEDROP_LOG_LEVEL": "debug"}, private=True) as server:
        yield server


async def stored(client: Redis) -> bytes:
    """Return all that the store holds, key by key, as it would be read."""
    readers: dict[str, Any] = {
        "hash": client.hgetall,
        "zset": lambda place: client.zrange(place, 0, -1),
        "set": client.smembers,
        "stream": client.xrange,
        "string": client.get,
    }
    places = [place async for place in client.scan_iter(count=1000)]
    kinds = [as_text(await client.type(place)) for place in places]
    # What expired between the two looks is of no kind any more.
    found = [
        (place, await readers[kind](place))
        for place, kind in zip(places, kinds, strict=True)
        if kind != "none"
    ]
    return repr(found).encode()


def as_text(kind: bytes | str) -> str:
    """Return a name of Redis as text."""
    return kind.decode() if isinstance(kind, bytes) else kind


def written(server: ServerProcess) -> dict[str, bytes]:
    """Return every file of the server's data (the store's own log of writes too), and what it said."""
    files = [path for path in server.data.rglob("*") if path.is_file()]
    assert any(path.suffix == ".sqlite3" for path in files)
    assert any(path.suffix == ".aof" for path in files)
    return {str(path): path.read_bytes() for path in [*files, server.log]}


def recorded(server: ServerProcess) -> bool:
    """Whether the ledger's files have what is no secret."""
    return any(OPEN.encode() in path.read_bytes() for path in server.data.glob("*.sqlite3*"))


async def test_contact_is_readable_nowhere(talking: ServerProcess) -> None:
    """Through checkout, a wait, shipment, refund and cancellation: not in store, socket, files, ledger or log."""
    async with httpx.AsyncClient(base_url=talking.url, timeout=30) as http:
        stage = Stage(talking, http)
        await stage.open()
        made = await stage.host("POST", "/v1/shows", json={"title": OPEN, "currency": "EUR"})
        stage.show = made.json()["id"]
        await stage.host("POST", f"/v1/shows/{stage.show}/start")
        drop, buyer = await stage.drop(9, limit_per_viewer=9), stage.viewer()
        host = stage.server.token(Role.HOST, "host")
        told: dict[str, Any] = {"email": MAIL, "shipping_address": {"name": "A. Buyer", "line1": MARK}}
        async with stage.watching(buyer) as watching:
            orders = []
            for card in ("tok_ok", "tok_ok", CARD):
                held = (await stage.reserve(buyer, drop)).json()["id"]
                answer = await stage.pay(buyer, held, card=card, **told)
                assert answer.status_code in {201, 202}, answer.text
                orders.append(answer.json()["order"]["id"])
            client = connect(talking.store_url)
            try:
                unsettled = await stored(client)
                for verb, order in (("fulfil", orders[0]), ("refund", orders[0]), ("cancel", orders[1])):
                    done = await stage.call("POST", f"/v1/orders/{order}/{verb}", host, key=ids.secret(8))
                    assert done.status_code == 200, done.text
                for token in (buyer, host):
                    seen = (await stage.call("GET", f"/v1/orders/{orders[0]}", token)).json()
                    assert (seen["email"], seen["shipping_address"]["line1"]) == (MAIL, MARK)
                kept = await stored(client)
            finally:
                await client.aclose()
            heard = repr(watching.messages).encode()
    # The recorder brings what is no secret into the ledger within a second or so.
    await wait_for(lambda: recorded(talking), "the show's name in the ledger")
    files = written(talking)
    places = {"store, early": unsettled, "store": kept, "socket": heard, **files}
    for name, content in places.items():
        assert MARK.encode() not in content, name
        assert MAIL.encode() not in content, name
    # The same search finds what is no secret, in the store, its own file and the ledger alike.
    assert OPEN.encode() in kept
    assert "aof" in {name.rpartition(".")[2] for name, content in files.items() if OPEN.encode() in content}


def test_contact_opens_for_its_own_order_only() -> None:
    """What was sealed for one order opens under no other, nor with another secret; it is never sealed alike."""
    seal, plain = Seal(SECRET, "livedrop contact 1"), msgspec.json.encode({"email": MAIL})
    sealed = seal.seal(plain, "or_1")
    assert seal.open(sealed, "or_1") == plain
    assert sealed != seal.seal(plain, "or_1")
    assert MAIL not in sealed
    for other, place in ((seal, "or_2"), (Seal("x" * 40, "livedrop contact 1"), "or_1")):
        with pytest.raises(Exception, match="cannot be opened") as refused:
            other.open(sealed, place)
        assert MAIL not in str(refused.value)
