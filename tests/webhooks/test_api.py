"""The HTTP door of webhooks, and the whole way: from what happens in a show to a shop's receiver."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from server import ids
from server.auth import Role
from server.ledger.outbox import TYPES
from server.webhooks.endpoints import MOST
from tests.problems import assert_problem
from tests.server import free_port
from tests.waiting import wait_for
from tests.webhooks.receiver import Receiver, Say

if TYPE_CHECKING:
    import httpx

    from tests.stage import Stage

PUBLIC = "https://8.8.8.8/hook"  # nothing happens in these shows that would be sent there


class Shop:
    """Somebody with webhooks of their own."""

    def __init__(self, stage: Stage, role: Role = Role.HOST, subject: str | None = None) -> None:
        self.stage = stage
        self.subject = subject or f"shop-{ids.secret(6)}"
        self.token = stage.server.token(role, self.subject)

    async def call(self, method: str, path: str = "", **extra: Any) -> httpx.Response:
        """Send a request about webhooks."""
        return await self.stage.call(method, f"/v1/webhooks{path}", self.token, **extra)

    async def made(self, url: str = PUBLIC, *events: str) -> dict[str, Any]:
        """Make an endpoint."""
        answer = await self.call("POST", json={"url": url, "events": list(events)})
        assert answer.status_code == 201, answer.text
        made: dict[str, Any] = answer.json()
        return made


async def test_a_secret_is_shown_once(stage: Stage) -> None:
    """The making shows it, in the standard's form; no look, no list and no file of the ledger does."""
    shop = Shop(stage)
    made = await shop.made()
    secret = made.pop("secret")
    assert secret.startswith("whsec_")
    assert made["events"] == list(TYPES)
    assert made["status"] == "enabled"
    one = (await shop.call("GET", f"/{made['id']}")).json()
    assert one == made
    assert (await shop.call("GET")).json() == {"items": [made], "next_cursor": None}
    for file in stage.server.data.glob("livedrop.sqlite3*"):
        content = file.read_bytes()
        assert secret.encode() not in content
        assert secret.removeprefix("whsec_").encode() not in content


async def test_a_repeated_making_makes_one(stage: Stage) -> None:
    """The same Idempotency-Key gives the first answer again."""
    shop = Shop(stage)
    body = {"url": PUBLIC, "events": ["order.paid"]}
    first, second = [await shop.call("POST", key="k", json=body) for _ in range(2)]
    assert second.headers["idempotent-replayed"] == "true"
    assert first.json() == second.json()
    assert len((await shop.call("GET")).json()["items"]) == 1


async def test_nobody_sees_or_moves_anothers(stage: Stage) -> None:
    """Another host, and a service of the same name, find nothing; a service must be one for every show."""
    shop = Shop(stage)
    webhook = (await shop.made())["id"]
    for other in (Shop(stage), Shop(stage, Role.SERVICE, shop.subject)):
        assert (await other.call("GET")).json()["items"] == []
        for method, path, body in (
            ("GET", "", None),
            ("DELETE", "", None),
            ("POST", "/test", None),
            ("POST", "/rotate", None),
            ("POST", "/enable", None),
            ("POST", "/replay", {"since_at": 0}),
        ):
            answer = await other.call(method, f"/{webhook}{path}", **({"json": body} if body else {}))
            assert_problem(answer, 404, "not-found", webhook)
    narrow = stage.server.token(Role.SERVICE, "shop", stage.show)
    refused = await stage.call("POST", "/v1/webhooks", narrow, json={"url": PUBLIC})
    assert_problem(refused, 403, "not-allowed", "every show")
    assert (await shop.call("DELETE", f"/{webhook}")).json()["id"] == webhook
    assert_problem(await shop.call("GET", f"/{webhook}"), 404, "not-found")


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"url": "https://169.254.169.254/"}, "url: 169.254.169.254 leads to an address that is not public."),
        ({"url": "https://[::ffff:a00:1]/"}, "url: ::ffff:a00:1 leads to an address that is not public."),
        ({"url": "http://8.8.8.8/"}, "url: to public addresses a URL that begins with https:// is expected."),
        ({"url": "https://ann:pw@8.8.8.8/"}, "url: a URL without user name and password is expected."),
        ({"url": "https://8.8.8.8:25/"}, "url: port 25 is refused: 443, or 1024 and above are expected."),
        ({"url": "ftp://8.8.8.8/"}, "url: a URL that begins with https:// is expected."),
        ({"url": ""}, "url: Expected `str` of length >= 1"),
        ({"url": PUBLIC, "events": ["order.payed"]}, "events: 'order.payed' is none of order.paid, "),
        ({"url": PUBLIC, "events": "order.paid"}, "events: Expected `array`, got `str`"),
        ({}, "url"),
    ],
)
async def test_what_is_wrong_is_named(stage: Stage, body: dict[str, Any], said: str) -> None:
    """URLs and events that cannot be are refused with what is expected."""
    assert_problem(await Shop(stage).call("POST", json=body), 422, "invalid-message", said)


async def test_an_owner_has_so_many(stage: Stage) -> None:
    """One more than the limit is refused with the number."""
    shop = Shop(stage)
    for _ in range(MOST):
        await shop.made()
    refused = await shop.call("POST", json={"url": PUBLIC})
    assert_problem(refused, 409, "limit-reached", f"There are {MOST} webhooks of yours")


async def test_a_test_tells_what_came_of_it(stage: Stage) -> None:
    """A test message is sent at once, signed; the answer, or why there is none, is told."""
    shop = Shop(stage)
    async with Receiver(lambda got: Say(503 if got.path == "/hook/ill" else 204)) as receiver:
        made = await shop.made(receiver.url)
        told = (await shop.call("POST", f"/{made['id']}/test")).json()
        assert told.pop("took_ms") >= 0
        assert told == {"delivered": True, "answer": 204}
        assert receiver.got[0].verified(made["secret"])["type"] == "webhook.test"
        ill = await shop.made(f"{receiver.url}/ill")
        told = (await shop.call("POST", f"/{ill['id']}/test")).json()
        assert (told["delivered"], told["answer"], told["problem"]) == (False, 503, "Answered 503.")
    nobody = await shop.made(f"http://127.0.0.1:{free_port()}/")
    told = (await shop.call("POST", f"/{nobody['id']}/test")).json()
    assert (told["delivered"], told["problem"]) == (False, "No answer: ConnectError.")


async def test_a_new_secret_signs_beside_the_old_one(stage: Stage) -> None:
    """Both verify; a fifth rotation in a day is refused, so that the number of signatures is bounded."""
    shop = Shop(stage)
    async with Receiver() as receiver:
        made = await shop.made(receiver.url)
        fresh = (await shop.call("POST", f"/{made['id']}/rotate")).json()
        assert fresh["secret"] != made["secret"]
        await shop.call("POST", f"/{made['id']}/test")
        for secret in (made["secret"], fresh["secret"]):
            receiver.got[0].verified(secret)
        for _ in range(3):
            assert (await shop.call("POST", f"/{made['id']}/rotate")).status_code == 200
        refused = await shop.call("POST", f"/{made['id']}/rotate")
        assert_problem(refused, 409, "wrong-state", "5 secrets sign at this moment")


async def test_a_show_is_told_from_its_start_to_its_end(stage: Stage) -> None:
    """Started, opened, sold out, closed, ended: in this order, each once, and to its own host only."""
    shop, stranger = Shop(stage), Shop(stage)
    async with Receiver() as receiver:
        made = await shop.made(receiver.url, *(kind for kind in TYPES if kind[:4] in {"show", "drop"}))
        await stranger.made(f"{receiver.url}/stranger")
        show = (
            await stage.call("POST", "/v1/shows", shop.token, json={"title": "Mine", "currency": "EUR"})
        ).json()["id"]
        path = f"/v1/shows/{show}"
        await stage.call("POST", f"{path}/start", shop.token)
        body = {"sku": "MUG", "quantity": 1}
        drop = (await stage.call("POST", f"{path}/drops", shop.token, json=body)).json()["id"]
        await stage.call("POST", f"{path}/drops/{drop}/open", shop.token)
        viewer = stage.server.token(Role.VIEWER, "ann", show)
        taken = await stage.call(
            "POST", f"{path}/drops/{drop}/reservations", viewer, key="k", json={"quantity": 1}
        )
        assert taken.status_code == 201, taken.text
        await stage.call("DELETE", f"/v1/reservations/{taken.json()['id']}", viewer)
        await stage.call("POST", f"{path}/drops/{drop}/close", shop.token)
        await stage.call("POST", f"{path}/end", shop.token)
        await wait_for(lambda: len(receiver.got) == 5, "everything is told")
        told = [got.verified(made["secret"]) for got in receiver.got]
        kinds = [message["type"] for message in told]
        assert kinds == ["show.started", "drop.opened", "drop.sold_out", "drop.closed", "show.ended"]
        assert {message["data"]["show"] for message in told} == {show}
        assert {got.path for got in receiver.got} == {"/hook"}
        assert len(set(receiver.ids())) == 5
        opened, sold_out, closed = (message["data"] for message in told[1:4])
        assert (opened["drop"]["status"], opened["drop"]["available"]) == ("open", 1)
        assert sold_out["drop_id"] == sold_out["drop"]["id"] == drop
        assert closed["stock"]["quantity"] == 1
        log: list[dict[str, Any]] = []

        async def recorded() -> bool:
            log[:] = (await shop.call("GET", f"/{made['id']}")).json()["deliveries"]
            return {each["status"] for each in log} == {"delivered"}

        await wait_for(recorded, "every delivery is written down")
        assert [each["type"] for each in log] == kinds[::-1]
        again = await shop.call("POST", f"/{made['id']}/replay", json={"since_at": log[1]["at"]})
        assert again.json() == {"messages": 2}
        await wait_for(lambda: len(receiver.got) == 7, "the last two come again")
        assert receiver.ids()[5:] == receiver.ids()[3:5]


async def test_who_is_disabled_is_not_replayed(stage: Stage) -> None:
    """A replay of a disabled endpoint is refused; enabled it is taken."""
    shop = Shop(stage)
    async with Receiver(lambda _got: Say(410)) as receiver:
        webhook = (await shop.made(receiver.url, "show.started"))["id"]
        body = {"title": "Mine", "currency": "EUR"}
        show = (await stage.call("POST", "/v1/shows", shop.token, json=body)).json()["id"]
        await stage.call("POST", f"/v1/shows/{show}/start", shop.token)

        async def disabled() -> bool:
            return bool((await shop.call("GET", f"/{webhook}")).json()["status"] == "disabled")

        await wait_for(disabled, "it is disabled")
        replay = ("POST", f"/{webhook}/replay")
        assert_problem(await shop.call(*replay, json={"since_at": 0}), 409, "wrong-state", "disabled")
        assert (await shop.call("POST", f"/{webhook}/enable")).json()["status"] == "enabled"
        receiver.answer = lambda _got: Say()
        assert (await shop.call(*replay, json={"since_at": 0})).json() == {"messages": 1}
        await wait_for(lambda: len(receiver.got) == 2, "it came again")
        await stage.call("POST", f"/v1/shows/{show}/end", shop.token)


async def test_a_paid_order_and_a_lapsed_reservation_reach_the_shop(stage: Stage) -> None:
    """A service hears of an order that was paid, as its buyer sees it, and of units that nobody paid in time."""
    shop = Shop(stage, Role.SERVICE)
    async with Receiver() as receiver:
        made = await shop.made(receiver.url, "order.paid", "reservation.expired")
        drop = await stage.drop(2, hold_seconds=1)
        buyer = stage.viewer()
        held = (await stage.reserve(buyer, drop)).json()["id"]
        lapsing = (await stage.reserve(stage.viewer("late"), drop)).json()["id"]
        order = (await stage.pay(buyer, held)).json()["order"]

        def told() -> dict[str, Any]:
            return {got.id: got.verified(made["secret"]) for got in receiver.got}

        expired = f"{lapsing} expired"
        await wait_for(lambda: {f"{order['id']} paid", expired} <= told().keys(), "both are told")
        paid = told()[f"{order['id']} paid"]
        assert (paid["type"], paid["data"]["order"]["id"]) == ("order.paid", order["id"])
        assert paid["data"]["order"]["total"] == order["total"]
        lapse = told()[expired]
        assert (lapse["type"], lapse["data"]["viewer"]) == ("reservation.expired", "late")
        assert lapse["data"]["reservation"]["state"] == "expired"
        await shop.call("DELETE", f"/{made['id']}")
