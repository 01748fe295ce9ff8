"""Every setting: its name in the environment, type, default and meaning, in one table: the struct itself.

A field `flush_ms` is read from `LIVEDROP_FLUSH_MS`; the environment wins over a `.env` file; an empty value
means the default. A name that no setting has is an error: a misspelt limit is a limit that is not there.
"""

from __future__ import annotations

import difflib
import ipaddress
import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self, get_args, get_origin, get_type_hints

import msgspec
import platformdirs
from dotenv import dotenv_values
from msgspec import Meta

from server.hardening import SECRET_BYTES, kept_secret, refusals

if TYPE_CHECKING:
    from collections.abc import Mapping

PREFIX = "LIVEDROP_"
UNPREFIXED = {"redis_url": "REDIS_URL", "database_url": "DATABASE_URL"}
CONFIDENTIAL = frozenset(
    {"secret", "redis_url", "database_url", "stripe_secret_key", "stripe_webhook_secret"}
)  # values that no error or listing may show
PRODUCTION = {  # defaults that production has instead of those below
    "connections_per_address": 1000,
    "requests_per_second": 20,
    "requests_per_address": 500,
    "failed_sign_ins": 300,
    "joins_per_second": 5000,
}

Origin = Annotated[str, Meta(pattern=r"^(\*|https?://[^/\s]+)$")]
# As a Content-Security-Policy names it: nothing that could end the directive that it stands in.
Site = Annotated[str, Meta(pattern=r"^https?://(\*\.)?[\w.-]+(:(\d+|\*))?$")]
Rate = Annotated[str, Meta(pattern=r"^([A-Z]{3}:)?[A-Z]{3}=(0\.\d*[1-9]\d*|[1-9]\d*(\.\d+)?)$")]


class SettingsError(Exception):
    """A setting is unknown, missing or not as expected; the sentence names it and says what is expected."""


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """The settings of one process, validated; made by `Settings.load()`. Names carry the units."""

    env: Annotated[
        Literal["development", "production"],
        Meta(description="production refuses what is handy in development only"),
    ] = "development"
    host: Annotated[str, Meta(description="address to listen on")] = "127.0.0.1"
    port: Annotated[int, Meta(ge=0, le=65_535, description="port to listen on; 0 takes a free one")] = 8000
    secret: Annotated[
        str,
        Meta(description="key that signs tokens (HS256), 32 bytes or more; development makes and keeps one"),
    ] = ""
    issuer: Annotated[str, Meta(description="the `iss` that tokens must carry")] = "livedrop"
    jwks: Annotated[
        str,
        Meta(
            description="public keys (a JWK set: file or https address) of who makes the tokens, RS256, ES256 or "
            "EdDSA; empty: tokens are our own, HS256"
        ),
    ] = ""
    data: Annotated[
        Path, Meta(description="folder for the private store, the ledger and the made secret")
    ] = msgspec.field(default_factory=lambda: platformdirs.user_data_path("livedrop"))
    redis_url: Annotated[
        str,
        Meta(
            pattern=r"^(rediss?|rediss?\+sentinel|unix)://.+|^$",
            description="Redis ≥ 7.0 or Valkey ≥ 7.2; empty: a private one",
            examples=[
                "redis://127.0.0.1/0, unix:///a.sock, redis://a,b?cluster=true or redis+sentinel://a,b/name"
            ],
        ),
    ] = ""
    database_url: Annotated[
        str,
        Meta(
            pattern=r"^(sqlite|postgres(ql)?)(\+\w+)?://.*|^$",
            description="the ledger; empty: SQLite in the data folder",
            examples=["postgresql://user@host/livedrop or sqlite:///file.db"],
        ),
    ] = ""
    allowed_origins: Annotated[
        tuple[Origin, ...],
        Meta(
            description="comma list of web origins whose pages may connect, besides our own; * for all",
            examples=["https://shop.example,https://www.shop.example"],
        ),
    ] = ()
    frame_ancestors: Annotated[
        tuple[Site, ...],
        Meta(
            description="comma list of web origins whose pages may embed the viewer's page; empty: none may",
            examples=["https://shop.example,https://*.shop.example"],
        ),
    ] = ()
    video_origins: Annotated[
        tuple[Site, ...],
        Meta(
            description="comma list of web origins that a show's video may come from; empty: any by https",
            examples=["https://video.example,https://*.cdn.example"],
        ),
    ] = ()
    rates: Annotated[
        tuple[Rate, ...],
        Meta(
            description="what one unit of a currency is in others, for estimates beside prices; empty: none",
            examples=["EUR:USD=1.08,GBP=0.85"],
        ),
    ] = ()
    log_length: Annotated[int, Meta(ge=1, description="events kept per show for viewers who return")] = 5000
    flush_ms: Annotated[int, Meta(ge=0, le=150, description="window that gathers live numbers, ms")] = 50
    messages_per_second: Annotated[int, Meta(ge=1, description="messages a viewer may send per second")] = 20
    message_burst: Annotated[int, Meta(ge=1, description="messages a viewer may send at once")] = 60
    message_bytes: Annotated[int, Meta(ge=1024, description="largest websocket message, bytes")] = 65_536
    sockets_per_viewer: Annotated[int, Meta(ge=1, description="open sockets per viewer and process")] = 8
    connections: Annotated[int, Meta(ge=1, description="open sockets per process")] = 20_000
    connections_per_address: Annotated[
        int, Meta(ge=0, description="open sockets per address (IPv6: per /64) and process; 0: no limit")
    ] = 0
    accepts_per_second: Annotated[
        int, Meta(ge=1, description="new sockets that a process takes per second, as many of them at once")
    ] = 2000
    requests_per_second: Annotated[
        int, Meta(ge=0, description="HTTP requests per viewer, ten times as many per host; 0: no limit")
    ] = 0
    requests_per_address: Annotated[
        int, Meta(ge=0, description="HTTP requests per second and address; 0: no limit")
    ] = 0
    failed_sign_ins: Annotated[int, Meta(ge=0, description="bad tokens a minute per address; 0: any")] = 0
    joins_per_second: Annotated[int, Meta(ge=0, description="viewers who join a show; 0: no limit")] = 0
    show_capacity: Annotated[int, Meta(ge=0, description="viewers of a show at once; 0: any number")] = 0
    turn_seconds: Annotated[
        int, Meta(ge=1, description="how long a seat or place waits for who is away, s")
    ] = 60
    challenge_bits: Annotated[int, Meta(ge=0, le=26, description="work to join unnamed, bits; 0: none")] = 0
    trusted_proxies: Annotated[
        tuple[str, ...],
        Meta(
            description="comma list of addresses and networks whose X-Forwarded-For and -Proto are believed",
            examples=["10.0.0.0/8,192.0.2.7"],
        ),
    ] = ()
    handshake_seconds: Annotated[
        int, Meta(ge=1, description="time for a request's head, and for a socket's handshake, s")
    ] = 5
    header_bytes: Annotated[int, Meta(ge=1024, description="largest head of a request, bytes")] = 16_384
    hello_seconds: Annotated[int, Meta(ge=1, description="time a new socket has for its hello, s")] = 5
    deflate: Annotated[
        bool, Meta(description="compress messages for clients that offer it: less traffic, more CPU")
    ] = False
    viewer_buffer_bytes: Annotated[
        int, Meta(ge=65_536, description="unsent bytes after which a slow viewer is let go")
    ] = 1_048_576
    drain_seconds: Annotated[int, Meta(ge=0, description="time for requests under way after SIGTERM, s")] = 10
    drain_spread_ms: Annotated[
        int, Meta(ge=0, description="time over which the viewers of a leaving server come back, ms")
    ] = 5000
    provider_seconds: Annotated[
        int, Meta(ge=1, description="how long a hold being paid waits for its payment provider, s")
    ] = 60
    sandbox_url: Annotated[
        str,
        Meta(
            pattern=r"^https?://[^/\s]+(/\S*)?$|^$",
            description="the sandbox payment provider, `livedrop sandbox`; empty: a private one, in production none",
            examples=["http://127.0.0.1:8100"],
        ),
    ] = ""
    stripe_secret_key: Annotated[
        str,
        Meta(
            pattern=r"^(sk|rk)_\w+$|^$",
            description="key of the Stripe account that takes the payments; empty: none are taken by Stripe",
            examples=["sk_live_… or rk_live_…"],
        ),
    ] = ""
    stripe_webhook_secret: Annotated[
        str,
        Meta(
            pattern=r"^whsec_\S+$|^$",
            description="secret of the Stripe webhook endpoint /v1/payments/stripe/webhook",
            examples=["whsec_…"],
        ),
    ] = ""
    stripe_api_base: Annotated[
        str,
        Meta(
            pattern=r"^https?://[^/\s]+$|^$",
            description="where Stripe's API is, for tests against a stand-in; empty: Stripe's own",
            examples=["http://127.0.0.1:12111"],
        ),
    ] = ""
    action_seconds: Annotated[
        int,
        Meta(
            ge=1, description="how long a hold being paid waits for a buyer who has to act (3-D Secure …), s"
        ),
    ] = 600
    batch_operations: Annotated[
        int,
        Meta(ge=1, le=256, description="reservations and other operations in one step of a show's inventory"),
    ] = 128
    batch_waiting: Annotated[
        int, Meta(ge=256, description="operations per show and process that may wait for their step")
    ] = 8192
    sold_out_gate: Annotated[
        bool, Meta(description="refuse here what was seen to be sold out within the last 200 ms")
    ] = True
    waitlist_places: Annotated[int, Meta(ge=1, description="places in the queue, or the draw, of a drop")] = (
        100_000
    )
    waitlist_skip_absent: Annotated[
        bool, Meta(description="pass over who waits but is not connected when units come back")
    ] = False
    webhook_private: Annotated[
        bool,
        Meta(
            description="webhooks may go into private networks, there also by http; "
            "false: to public addresses by https, in development also to this machine"
        ),
    ] = False
    units_per_address: Annotated[
        int, Meta(ge=0, description="units of a drop per network address (IPv6: per /64); 0: no limit")
    ] = 0
    keep_hours: Annotated[
        int, Meta(ge=1, le=168, description="how long an ended show can be read in the store, h")
    ] = 24
    sweep_ms: Annotated[int, Meta(ge=10, le=1000, description="pause between looks for lapsed holds, ms")] = (
        200
    )
    import_bytes: Annotated[int, Meta(ge=1, description="largest catalog feed, bytes")] = 20_971_520
    appendfsync: Annotated[
        Literal["everysec", "always"],
        Meta(description="when the private store's writes reach the disk: within a second, or at once"),
    ] = "everysec"
    otlp_endpoint: Annotated[
        str,
        Meta(
            pattern=r"^https?://[^/\s]+(/\S*)?$|^$",
            description="OpenTelemetry collector that is told of traces (OTLP over HTTP); empty: none",
            examples=["http://127.0.0.1:4318"],
        ),
    ] = ""
    otlp_share: Annotated[
        float,
        Meta(
            ge=0, le=1, description="share of commands, requests and orders that is traced", examples=["0.01"]
        ),
    ] = 0.01
    log_level: Annotated[
        Literal["debug", "info", "warning", "error"],
        Meta(description="the least severe log line that is written"),
    ] = "info"

    @classmethod
    def load(cls, environ: Mapping[str, str] | None = None, dotenv: Path | None = None) -> Self:
        """Return the settings of `environ` over those of the `.env` file at `dotenv`.

        Without arguments: this process's environment over `.env` in the current folder, if there is one.
        Raises SettingsError.
        """
        if environ is None:
            environ, dotenv = os.environ, dotenv or Path(".env")
        kept = dotenv_values(dotenv, interpolate=False) if dotenv and dotenv.is_file() else {}
        given = {name: text for name, text in {**kept, **environ}.items() if text}
        _refuse_unknown(given)
        values = {field: _converted(field, given[name]) for field, name in _names().items() if name in given}
        if values.get("env") == "production":
            values = {**PRODUCTION, **values}
        settings = cls(**values)
        settings._check_secret()
        settings._check_proxies()
        settings._check_rates()
        if settings.production and (refused := refusals(settings)):
            raise SettingsError("\n".join(refused))
        return settings

    def secret_key(self) -> str:
        """Return the key that signs tokens: the given one, or in development the one kept in the data folder.

        The kept one is made at the first call, readable by this user only; processes that race get the same.
        Raises SettingsError if it cannot be kept there.
        """
        if self.secret:
            return self.secret
        try:
            return kept_secret(self.data)
        except OSError as error:
            raise SettingsError(
                f"No secret can be kept in {self.data}: {error}. Set LIVEDROP_SECRET."
            ) from error
        except ValueError as error:
            raise SettingsError(str(error)) from None

    @property
    def production(self) -> bool:
        """Whether this is the real thing."""
        return self.env == "production"

    def _check_secret(self) -> None:
        if self.secret and len(self.secret.encode()) < SECRET_BYTES:
            raise SettingsError(
                f"LIVEDROP_SECRET has {len(self.secret.encode())} bytes; {SECRET_BYTES} or more are expected"
            )

    def _check_proxies(self) -> None:
        for proxy in self.trusted_proxies:
            try:
                ipaddress.ip_network(proxy)
            except ValueError as error:
                raise SettingsError(
                    f"LIVEDROP_TRUSTED_PROXIES: {error}; expected: {_expected('trusted_proxies')}"
                ) from error

    def _check_rates(self) -> None:
        if [":" in rate for rate in self.rates] != [number == 0 for number in range(len(self.rates))]:
            raise SettingsError(f"LIVEDROP_RATES: one base is expected, in front: {_expected('rates')}")

    def __repr__(self) -> str:
        values = {field: getattr(self, field) for field in self.__struct_fields__}
        hidden = {field: "***" for field in CONFIDENTIAL if values[field]}
        return f"Settings({', '.join(f'{field}={value!r}' for field, value in {**values, **hidden}.items())})"


def table() -> list[tuple[str, str, str]]:
    """Return (name, default, meaning) of every setting in the order of the struct; empty means unset."""
    usual = Settings()
    return [(name, _shown(getattr(usual, field)), _meaning(field)) for field, name in _names().items()]


def _shown(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return ",".join(value) if isinstance(value, tuple) else str(value)


def _meaning(field: str) -> str:
    meaning = _meta(field).description or ""
    return f"{meaning}; in production {_shown(PRODUCTION[field])}" if field in PRODUCTION else meaning


def _names() -> dict[str, str]:
    return {field: UNPREFIXED.get(field, PREFIX + field.upper()) for field in Settings.__struct_fields__}


def _type(field: str) -> Any:
    return get_type_hints(Settings, include_extras=True)[field]


def _meta(field: str) -> Meta:
    meta: Meta = _type(field).__metadata__[0]
    return meta


def _refuse_unknown(given: Mapping[str, str]) -> None:
    known = list(_names().values())
    for name in sorted(given):
        if name.startswith(PREFIX) and name not in known:
            bare = name.removeprefix(PREFIX)
            nearest = bare if bare in known else difflib.get_close_matches(name, known, n=1, cutoff=0)[0]
            raise SettingsError(
                f"{name} is no setting; the nearest is {nearest}. `livedrop settings` lists them all."
            )


def _converted(field: str, text: str) -> Any:
    items = [item.strip() for item in text.split(",") if item.strip()]
    try:
        return msgspec.convert(
            items if get_origin(get_args(_type(field))[0]) is tuple else text.strip(),
            _type(field),
            strict=False,
            dec_hook=lambda _kind, value: Path(value).expanduser(),
        )
    except msgspec.ValidationError as error:
        told = "its value" if field in CONFIDENTIAL else f"'{text}'"
        raise SettingsError(
            f"{_names()[field]}: {told} is not valid; expected: {_expected(field)}"
        ) from error


def _expected(field: str) -> str:
    """Return what a value of the field looks like, in words."""
    kind, meta = get_args(_type(field))
    if kind is int:
        span = f"from {meta.ge} to {meta.le}" if meta.le is not None else f"of {meta.ge} or more"
        return f"a whole number {span}"
    if kind is bool:
        return "true or false"
    if get_origin(kind) is Literal:
        return " or ".join(get_args(kind))
    return str(meta.examples[0])
