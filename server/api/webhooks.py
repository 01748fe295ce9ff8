"""Endpoints of webhooks: make, list, look, remove, test, replay, a new secret, enable again."""

from __future__ import annotations

from typing import Any

from server.api.bodies import NewWebhook, Replay, Replayed, SecretWebhook, Webhook, WebhookTest
from server.api.http import Answer, Call, Keyed, Operation
from server.api.paging import Page
from server.auth import EVERY_SHOW, Right, Role
from server.errors import Code, Problem
from server.webhooks.endpoints import Owner


async def create(call: Call) -> Answer:
    """Make an endpoint; the only answers that show a secret are this one and that of a rotation."""
    body: NewWebhook = call.body
    view = await call.rooms.webhooks.create(_owner(call), body.url, body.events)
    return Answer(view, 201, {"Location": f"/v1/webhooks/{view['id']}"})


async def listed(call: Call) -> Answer:
    """List the caller's endpoints, oldest first; there are few enough for one page."""
    return Answer({"items": await call.rooms.webhooks.listed(_owner(call)), "next_cursor": None})


async def look(call: Call) -> Answer:
    """Return one endpoint."""
    return Answer(await call.rooms.webhooks.find(_owner(call), call.path["webhook"]))


async def remove(call: Call) -> Answer:
    """Remove an endpoint and return it as it was."""
    return Answer(await call.rooms.webhooks.delete(_owner(call), call.path["webhook"]))


async def test(call: Call) -> Answer:
    """Send a test message now and tell what came of it."""
    result = await call.rooms.webhooks.test(_owner(call), call.path["webhook"])
    told: dict[str, Any] = {"answer": result.answer, "problem": result.problem}
    known = {name: value for name, value in told.items() if value is not None}
    return Answer({"delivered": result.delivered, "took_ms": result.took_ms, **known})


async def replay(call: Call) -> Answer:
    """Send all messages since a moment again."""
    body: Replay = call.body
    count, following = await call.rooms.webhooks.replay(_owner(call), call.path["webhook"], body.since_at)
    return Answer({"messages": count, **({} if following is None else {"next_since_at": following})})


async def rotate(call: Call) -> Answer:
    """Return the endpoint with a new secret; the old one signs too for a day."""
    return Answer(await call.rooms.webhooks.rotate(_owner(call), call.path["webhook"]))


async def enable(call: Call) -> Answer:
    """Let a disabled endpoint be told again."""
    return Answer(await call.rooms.webhooks.enable(_owner(call), call.path["webhook"]))


def _owner(call: Call) -> Owner:
    """Return whose endpoints the call is about: a host hears of their own shows, a service of every one."""
    service = call.identity.role is Role.SERVICE
    if service and EVERY_SHOW not in call.identity.shows:
        raise Problem(
            Code.NOT_ALLOWED, "A service hears of every show, and this token is not for every show."
        )
    return Owner(call.identity.subject, every_show=service)


def _operation(verb: str, name: str, summary: str, handler: Any, answer: Any, **more: Any) -> Operation:
    method, _, rest = verb.partition(" ")
    problems = (Code.NOT_FOUND, *more.pop("problems", ()))
    path = f"/v1/webhooks/{{webhook}}{rest}"
    return Operation(method, path, name, summary, handler, Right.SUBSCRIBE, answer, problems=problems, **more)


OPERATIONS: tuple[Operation, ...] = (
    Operation(
        "POST",
        "/v1/webhooks",
        "webhook_create",
        "Be told what happens",
        create,
        Right.SUBSCRIBE,
        SecretWebhook,
        body=NewWebhook,
        status=201,
        keyed=Keyed.ACCEPTED,
        problems=(Code.LIMIT_REACHED,),
    ),
    Operation(
        "GET",
        "/v1/webhooks",
        "webhook_list",
        "List webhooks",
        listed,
        Right.SUBSCRIBE,
        Page[Webhook],
    ),
    _operation("GET", "webhook", "Look at a webhook and its newest deliveries", look, Webhook),
    _operation("DELETE", "webhook_delete", "Remove a webhook", remove, Webhook),
    _operation(
        "POST /test",
        "webhook_test",
        "Send a test message now",
        test,
        WebhookTest,
        problems=(Code.RATE_LIMITED,),
    ),
    _operation(
        "POST /replay",
        "webhook_replay",
        "Send everything since a moment again, under the same ids",
        replay,
        Replayed,
        body=Replay,
        problems=(Code.WRONG_STATE,),
    ),
    _operation(
        "POST /rotate",
        "webhook_rotate",
        "Get a new secret; the old one signs too for 24 h",
        rotate,
        SecretWebhook,
        problems=(Code.WRONG_STATE,),
    ),
    _operation("POST /enable", "webhook_enable", "Let a disabled webhook be told again", enable, Webhook),
)
