"""`livedrop demo`: a server with a live show and a drop from the sample feed, made through its own HTTP door."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import httpx
import typer
from rich.panel import Panel

from server import app, logs
from server.auth import EVERY_SHOW, Role, Tokens
from server.catalog.readers import SAMPLE_CURRENCY, SAMPLE_FEED
from server.cli.audience import Audience
from server.cli.home import console
from server.cli.running import Server, bind, config, leaving_quietly
from server.cli.sandbox import hear

if TYPE_CHECKING:
    import socket

    from server.settings import Settings

UNITS = 100
HOLD_SECONDS = 60
LIMIT_PER_VIEWER = 2
TOKEN_SECONDS = 12 * 3600
POLL_SECONDS = 0.02
COUNTDOWN_MS = 10_000
HOST = "demo-host"
VIEWER = "demo-viewer"


def run(settings: Settings, audience: int, *, as_json: bool) -> None:
    """Serve the demo until SIGTERM or SIGINT."""
    logs.configure("warning")
    bound = bind(settings)
    hear(settings, bound)
    with bound, leaving_quietly():
        asyncio.run(_run(settings, bound, audience, as_json=as_json))
    if not as_json:
        console.print("The demo has ended; its data is kept for the next one.")


async def _run(settings: Settings, bound: socket.socket, audience: int, *, as_json: bool) -> None:
    server = Server(config(settings, app.create_app(settings)))
    serving = asyncio.create_task(server.serve([bound]))
    while not server.started and not serving.done():  # noqa: ASYNC110  uvicorn has no event for it
        await asyncio.sleep(POLL_SECONDS)
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    url = f"http://{host}:{bound.getsockname()[1]}"
    tokens = Tokens(settings.secret_key(), settings.issuer)
    host_token, _ = tokens.mint(HOST, Role.HOST, [EVERY_SHOW], TOKEN_SECONDS)
    async with httpx.AsyncClient(base_url=url, headers={"Authorization": f"Bearer {host_token}"}) as client:
        show, drop = await _prepare(client)
        viewer_token, _ = tokens.mint(VIEWER, Role.VIEWER, [show["id"]], TOKEN_SECONDS)
        links = {
            "show": show["id"],
            "drop": drop["id"],
            "host_url": f"{url}/host/{show['id']}#token={host_token}",
            "viewer_url": f"{url}/watch/{show['id']}#token={viewer_token}",
            "host_token": host_token,
            "viewer_token": viewer_token,
        }
        _announce(links, drop, as_json=as_json)
        async with Audience(url, show["id"], drop["id"], tokens, audience) as crowd:
            try:
                if audience:
                    await _perform(client, crowd, quiet=as_json)
            except httpx.TransportError:
                if not server.should_exit:  # else the demo was ended in the middle of it
                    raise
            await serving  # the crowd stays and watches


async def _prepare(client: httpx.AsyncClient) -> tuple[dict[str, Any], dict[str, Any]]:
    """Import the feed, start a show, plan a drop of its first product."""
    feed = SAMPLE_FEED.read_bytes()
    await _post(client, f"/v1/catalog/import?format=shopify&currency={SAMPLE_CURRENCY}", content=feed)
    show = await _post(
        client, "/v1/shows", json={"title": "Saturday Night Drops", "currency": SAMPLE_CURRENCY}
    )
    await _post(client, f"/v1/shows/{show['id']}/start")
    listed = await client.get("/v1/catalog/products?limit=3")
    products = listed.raise_for_status().json()["items"]
    pins = {"skus": [product["sku"] for product in products]}
    (await client.put(f"/v1/shows/{show['id']}/pinned", json=pins)).raise_for_status()
    terms = {
        "sku": products[0]["sku"],
        "quantity": UNITS,
        "limit_per_viewer": LIMIT_PER_VIEWER,
        "hold_seconds": HOLD_SECONDS,
    }
    return show, await _post(client, f"/v1/shows/{show['id']}/drops", json=terms)


async def _post(client: httpx.AsyncClient, path: str, **body: Any) -> dict[str, Any]:
    answer = await client.post(path, **body)
    fields: dict[str, Any] = answer.raise_for_status().json()
    return fields


def _announce(links: dict[str, str], drop: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(links))
        return
    text = (
        f"A live show with a drop of {drop['quantity']} units of [bold]{drop['title']}[/] is ready.\n"
        "Pay with the sandbox's test card: no money moves. Ctrl-C ends the demo."
    )
    console.print(Panel(text, title="Livedrop", border_style="green"))
    # Links stand alone on their lines: a frame or a break would cut them.
    for who, link in (("Host, open the drop here", "host_url"), ("Viewer, take one here", "viewer_url")):
        console.print(f"[bold]{who}:[/]")
        typer.echo(f"{links[link]}\n")


async def _perform(client: httpx.AsyncClient, audience: Audience, *, quiet: bool) -> None:
    """Let the audience in, open the drop with a countdown, and say what they did."""
    await audience.arrive()
    await _post(
        client,
        f"/v1/shows/{audience.show}/drops/{audience.drop}/open",
        json={"countdown_ms": COUNTDOWN_MS},
    )
    if not quiet:
        console.print(f"{audience.size} viewers are here; the drop opens in {COUNTDOWN_MS // 1000} s.")
    outcome = await audience.buy()
    if not quiet:
        console.print(outcome)
