"""show_freeze: everything that is sold halts, and the log begins a new life."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from server.store.keys import key
from tests.lua.scene import LOG_LENGTH

if TYPE_CHECKING:
    from tests.lua.scene import Scene


def halting(
    least: int = 0, seen: str = "", epoch: str = "second", upto: int = 0, **known: Any
) -> dict[str, Any]:
    return {"known": known, "upto": upto, "seen": seen, "epoch": epoch, "least": least}


async def halted(scene: Scene, **more: Any) -> dict[str, Any]:
    answer = await scene.run("show_freeze", **halting(**more))
    assert answer["outcome"] == "frozen", answer
    return answer


async def test_frozen(scene: Scene) -> None:
    """A live show is paused and says so, its log goes on in a new epoch, and who looks sees nothing of the freeze."""
    drop = await scene.opened(3)
    held = await scene.held(drop)
    async with scene.watched() as told:
        frozen = await halted(scene)
    assert (frozen["show"]["status"], told.kinds) == ("paused", ["show.paused"])
    assert "frozen" not in frozen["show"]
    assert (frozen["offset"], frozen["reached"]) == (4, 3)
    stored = await scene.client.hgetall(scene.key("show"))
    assert (stored[b"epoch"], stored[b"offset"], stored[b"frozen"]) == (b"second", b"4", b"3")
    assert (await scene.hold(held))["state"] == "held"


async def test_nothing_is_sold_meanwhile(scene: Scene) -> None:
    """Nobody takes, gives back, joins, leaves, pays or is undone; nothing lapses; the host moves nothing."""
    drop = await scene.opened(3)
    held, paying, lapsing = (
        await scene.held(drop),
        await scene.held(drop, "bob"),
        await scene.held(drop, "cleo"),
    )
    await scene.joined(drop, "dan")
    order = await scene.authorized(paying, viewer="bob")
    await scene.lapsed(lapsing)
    await halted(scene)
    for asked in (
        scene.taking(drop, "eve"),
        scene.releasing(held),
        scene.joining(drop, "eve"),
        scene.leaving(drop, "dan"),
    ):
        assert await scene.refused_step(asked) == ["show-not-live", "frozen"]
    assert await scene.refused("hold_checkout", **scene.claiming(held, order="or_2")) == {"outcome": "frozen"}
    assert await scene.refused("hold_finalize", order=order) == {"outcome": "frozen"}
    assert (await scene.refused("hold_sweep", limit=10))["lapsed"] == 0
    for move in ("show_resume", "show_end"):
        assert await scene.refused(move) == {"outcome": "wrong-state", "state": "frozen"}
    for move, args in (
        ("drop_restock", {"quantity": 1, "most": 10}),
        ("drop_close", {"by": "host"}),
        ("drop_wave", {"by": "host"}),
    ):
        assert await scene.refused(move, drop=drop, **args) == {"outcome": "wrong-state", "state": "frozen"}
    assert (await scene.refused("show_retire", keep_ms=1000))["outcome"] == "unfinished"
    assert await scene.numbers(drop) == (0, 3, 0)


async def test_behind_what_anybody_has_seen(scene: Scene) -> None:
    """A log that lags is left behind: the new life begins above the last offset that anybody knows, without a hole."""
    await scene.live()
    frozen = await halted(scene, least=70)
    assert (frozen["offset"], frozen["reached"]) == (71, 1)


async def test_twice(scene: Scene) -> None:
    """Frozen again it has another epoch, and still says how far it had come when it was frozen first."""
    await scene.live()
    await halted(scene, least=70)
    async with scene.watched() as told:
        again = await halted(scene, epoch="third", least=71)
    assert (again["reached"], again["offset"], told.kinds) == (1, 71, [])


@pytest.mark.parametrize("status", ["live", "ended"])
async def test_made_again(scene: Scene, status: str) -> None:
    """A show that is lost is made from what the ledger has; one that was live is paused."""
    await scene.client.sadd(key("active"), scene.show)
    terms = {
        "id": scene.show,
        "title": "Lost",
        "currency": "EUR",
        "host": "hanna",
        "created_at": 1_800_000_000_000,
    }
    made = await halted(scene, least=9, status=status, log_length=LOG_LENGTH, **terms)
    assert (made["show"]["title"], made["show"]["created_at"]) == ("Lost", 1_800_000_000_000)
    assert made["show"]["status"] == ("paused" if status == "live" else "ended")
    stored = await scene.client.hgetall(scene.key("show"))
    assert (stored[b"host"], stored[b"log_length"]) == (b"hanna", b"100")
    assert made["reached"] == 0


async def test_an_older_copy(scene: Scene) -> None:
    """What the ledger has of it counts where that is newer than the store's, and nowhere else."""
    await scene.created()
    await halted(scene, least=5, status="live", title="Later", upto=5)
    stored = await scene.client.hgetall(scene.key("show"))
    assert (stored[b"title"], stored[b"status"]) == (b"Later", b"paused")
    await scene.run("show_thaw", epoch="second", open=1, orders=[], figures={}, buyers=[])
    await halted(scene, least=5, status="ended", title="Earlier", upto=5)
    stored = await scene.client.hgetall(scene.key("show"))
    assert (stored[b"title"], stored[b"status"]) == (b"Later", b"paused")


async def test_not_found(scene: Scene) -> None:
    """A show that neither the store nor the ledger knows is none."""
    assert await scene.refused("show_freeze", **halting()) == {"outcome": "not-found"}


async def test_elsewhere(scene: Scene) -> None:
    """Whoever saw another epoch has seen another life of the show: nothing is done for them."""
    await scene.live()
    assert await scene.refused("show_freeze", **halting(seen="older")) == {"outcome": "elsewhere"}
    await halted(scene, seen="first")
