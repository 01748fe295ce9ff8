"""Shows: make one, move it through scheduled → live ⇄ paused → ended, pin products, and let it go some time later."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgpack

from server import ids
from server.errors import Code, Problem
from server.shows.drops import awards, shown
from server.shows.drops import unknown as unknown_drop
from server.store import reads
from server.store.answers import Answer, ask, unpacked
from server.store.keys import key
from server.store.redis import reaching

if TYPE_CHECKING:
    from server.store.redis import Redis
    from server.store.scripts import Scripts

KEPT_AFTER_END_MS = 24 * 3600 * 1000  # unless the settings say otherwise
NUMBERS = frozenset({"created_at", "starts_at", "started_at", "ended_at", "limit_per_viewer"})
HIDDEN = frozenset({"host", "epoch", "offset", "log_length", "pinned", "frozen"})

View = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Freeze:
    """A show that is halted, and the epoch under which its log begins anew.

    `reached` is the offset that its data had come to when it was first frozen.
    """

    epoch: str
    reached: int
    show: View


RECOUNT_LIMIT = 250  # viewers taken out in one script: a millisecond of Redis


class Shows:
    """The door to shows. Moves raise `wrong-state` with the state in the sentence, `not-found` where there is none."""

    def __init__(
        self,
        client: Redis,
        scripts: Scripts,
        log_length: int,
        *,
        keep_ms: int = KEPT_AFTER_END_MS,
        skip_absent: bool = False,
    ) -> None:
        self._client = client
        self._scripts = scripts
        self._log_length = log_length
        self._keep_ms = keep_ms
        self._skip = int(skip_absent)  # whether a draw that the show's end brings passes over who is not here

    async def create(self, show: str, host: str, terms: View) -> View:
        """Make a scheduled show under the given id; repeating returns the show that is there."""
        # Workers know of the show before it is there: one that this process leaves half made is looked after.
        await self._look_after(show)
        answer = await ask(
            self._scripts,
            "show_create",
            {"show": show},
            terms={**terms, "id": show, "host": host},
            epoch=ids.new_epoch(),
            log_length=self._log_length,
        )
        view: View = answer["show"]
        with reaching("listing the show"):
            await self._client.zadd(key("shows"), {show: view["created_at"]})
        await self._look_after(show)  # a worker may have found nothing there in between
        return view

    async def _look_after(self, show: str) -> None:
        with reaching("telling the workers of the show"):
            await self._client.sadd(key("active"), show)

    async def move(self, show: str, verb: str) -> View:
        """Apply `start`, `pause`, `resume` or `end`; each is one script that also writes its event."""
        skip = {"skip": self._skip} if verb == "end" else {}
        answer = await ask(self._scripts, f"show_{verb}", {"show": show}, **skip)
        view: View = _moved(answer, show, verb)["show"]
        return view

    async def freeze(
        self, show: str, *, least: int, seen: str = "", known: View | None = None, upto: int = 0
    ) -> Freeze | None:
        """Halt all sales of a show, and begin a new life of its log behind the offset `least`.

        `known` are its hash's fields as they were after the event `upto`, for one that the store has lost, or has as it
        was before. None where the log is no longer in the epoch that was `seen`. Raises `not-found` where nobody knows.
        """
        await self._look_after(show)
        epoch = ids.new_epoch()
        fields = {**known, "log_length": self._log_length} if known else {}
        answer = await ask(
            self._scripts,
            "show_freeze",
            {"show": show},
            known=fields,
            upto=upto,
            seen=seen,
            epoch=epoch,
            least=least,
        )
        if answer["outcome"] == "not-found":
            raise unknown(show)
        if answer["outcome"] == "elsewhere":
            return None
        view: View = answer["show"]
        with reaching("listing the show"):
            await self._client.zadd(key("shows"), {show: view["created_at"]})
        return Freeze(epoch, answer["reached"], view)

    async def frozen(self, show: str) -> bool:
        """Whether a show is halted until its stock is rebuilt."""
        return (
            await reads.field(self._client, key("show", show=show), "frozen", "looking for a freeze")
            is not None
        )

    async def thaw(  # noqa: PLR0913  what was rebuilt goes in with the thaw, or not at all
        self,
        show: str,
        epoch: str,
        *,
        reopen: bool,
        orders: list[View],
        figures: dict[str, int],
        buyers: list[str],
    ) -> View:
        """End the freeze of this epoch: the show stays paused, or is live again. Raises `wrong-state` where it is over.

        `orders` are unfinished checkouts for a worker to go on with.
        """
        answer = await ask(
            self._scripts,
            "show_thaw",
            {"show": show},
            epoch=epoch,
            open=int(reopen),
            orders=orders,
            figures=figures,
            buyers=buyers,
        )
        if answer["outcome"] == "not-found":
            raise unknown(show)
        if answer["outcome"] == "elsewhere":
            raise Problem(
                Code.WRONG_STATE, "This show was frozen by another rebuild meanwhile, or is open again."
            )
        view: View = answer["show"]
        return view

    async def film(self, show: str, url: str) -> View:
        """Say where the show's video is, empty: it has none; tell everybody, and return the show."""
        answer = await ask(self._scripts, "show_video", {"show": show}, url=url)
        view: View = _moved(answer, show, "change the video of")["show"]
        return view

    async def pin(self, show: str, products: list[View]) -> None:
        """Put products before the viewers' eyes, replacing those that were there."""
        packed = msgpack.packb(products, use_bin_type=False)
        answer = await ask(self._scripts, "show_pin", {"show": show}, products=packed)
        _moved(answer, show, "pin products in")

    async def arrange(self, show: str, drops: list[str]) -> None:
        """Put drops into the order in which they are to come, replacing the one before; tell everybody of it."""
        answer = await ask(self._scripts, "show_arrange", {"show": show}, drops=drops)
        if answer["outcome"] == "not-found" and "drop" in answer:
            raise unknown_drop(answer["drop"])
        _moved(answer, show, "arrange the drops of")

    async def find(self, show: str) -> tuple[View, str]:
        """Return a show and its host's subject, or raise `not-found`."""
        fields = await reads.fields(self._client, key("show", show=show), "reading the show")
        if not fields:
            raise unknown(show)
        return _view(fields), fields[b"host"].decode()

    async def listed(self, after: str | None, limit: int) -> tuple[list[tuple[View, str]], str | None]:
        """Return shows with their hosts, newest first, behind the show `after`, and the last one of a full page.

        Shows whose keys are gone (some time after their end) are dropped from the list on the way.
        """
        rows = await reads.newest(self._client, key("shows"), after, limit, "listing shows")
        with reaching("reading the shows"):
            async with self._client.pipeline(transaction=False) as pipe:
                for show, _created in rows:
                    pipe.hgetall(key("show", show=show))
                found = await pipe.execute() if rows else []
            gone = [show for (show, _created), fields in zip(rows, found, strict=True) if not fields]
            if gone:
                await self._client.zrem(key("shows"), *gone)
        shows = [(_view(fields), fields[b"host"].decode()) for fields in found if fields]
        return shows, rows[-1][0] if len(rows) == limit else None

    async def active(self) -> list[str]:
        """Return the shows that workers look after: all that are not yet retired."""
        return await reads.members(self._client, key("active"), "listing active shows")

    async def is_over(self, show: str) -> bool:
        """Whether a show has ended, or is gone altogether."""
        status = await reads.field(self._client, key("show", show=show), "status", "reading the show's state")
        return status in {None, b"ended"}

    async def retire(self, show: str) -> bool:
        """Let an ended show's keys expire after a while once nothing in it can change; say whether that is done."""
        answer = await ask(self._scripts, "show_retire", {"show": show}, keep_ms=self._keep_ms)
        done: bool = answer["outcome"] in {"retired", "gone"}
        if done:
            with reaching("retiring the show"):
                await self._client.srem(key("active"), show)
        return done

    async def recount(self, show: str) -> None:
        """Let the viewers of processes that have died go: somebody must where no other process follows the show."""
        nobody: dict[str, Any] = {
            "gateway": "",
            "turn": 1,
            "here": [],
            "left": [],
            "lease_ms": 0,
            "keep_ms": 0,
        }
        answer = {"more": True}
        while answer.get("more"):
            answer = await ask(self._scripts, "viewer_present", {"show": show}, most=RECOUNT_LIMIT, **nobody)

    async def figures(self, show: str) -> View:
        """Return what the show earned so far: counts, gmv in minor units, conversion as a share of its viewers."""
        with reaching("reading the figures"):
            async with self._client.pipeline(transaction=True) as pipe:
                pipe.hgetall(key("figures", show=show))
                pipe.pfcount(key("audience", show=show))
                pipe.pfcount(key("buyers", show=show))
                pipe.hget(key("show", show=show), "currency")
                pipe.hgetall(key("drops", show=show))
                pipe.hgetall(key("stock", show=show))
                pipe.zcard(key("line", show=show))
                raw, audience, buyers, currency, drops, stock, waiting = await pipe.execute()
        counted = {name.decode(): int(value) for name, value in raw.items()}
        return {
            "viewers": counted.get("viewers", 0),
            "peak_viewers": counted.get("peak_viewers", 0),
            "orders": counted.get("orders", 0),
            "units_sold": counted.get("units_sold", 0),
            "gmv": counted.get("gmv", 0),
            "currency": currency.decode(),
            "conversion": round(min(1.0, buyers / audience), 4) if audience else 0.0,
            "unmet_demand": counted.get("unmet_demand", 0),
            "waitlist": sum(shown(terms, stock[drop])["waitlist_length"] for drop, terms in drops.items()),
            "taken": sum(awards(row) for row in stock.values()),
            "waiting_room": waiting,
        }

    async def pinned(self, show: str) -> list[View]:
        """Return the pinned products."""
        raw = await reads.field(self._client, key("show", show=show), "pinned", "reading pinned products")
        products: list[View] = unpacked(raw) if raw else []
        return products


def unknown(show: str) -> Problem:
    """Return the problem for a show that is not there."""
    return Problem(Code.NOT_FOUND, f"There is no show {show[:64]!r}.")


def _view(fields: dict[bytes, bytes]) -> View:
    named = {name.decode(): value for name, value in fields.items()}
    view: View = {
        name: int(value) if name in NUMBERS else value.decode()
        for name, value in named.items()
        if name not in HIDDEN | {"run"}
    }
    return {**view, "run": unpacked(named["run"])} if "run" in named else view


def _moved(answer: Answer, show: str, verb: str) -> Answer:
    match answer["outcome"]:
        case "not-found":
            raise unknown(show)
        case "wrong-state":
            raise Problem(Code.WRONG_STATE, f"Cannot {verb} a show that is {answer['state']}.")
        case _:
            return answer
