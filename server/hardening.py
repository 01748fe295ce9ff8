"""What production does not start with: a setting that is handy in development and dangerous where money moves.

Each refusal is one sentence that names the setting and says what to do; none shows a secret's value. Development,
which starts without a secret, is given one that is kept.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

from server import ids

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

SECRET_BYTES = 32
FEWEST_CHARACTERS = 10  # different ones in a secret: fewer are not random
MAKE_ONE = "make one with `openssl rand -base64 32`"
# Words of placeholders. Longer than what turns up in 32 random bytes by chance.
EXAMPLES = (
    "changeme",
    "change-me",
    "change_me",
    "replaceme",
    "replace-me",
    "replace_me",
    "your-secret",
    "your_secret",
    "my-secret",
    "example",
    "password",
    "insecure",
    "random bytes",
)


def refusals(given: Any) -> list[str]:
    """Return a sentence for each setting that production must not have; empty where it may start.

    `given` are the `Settings`, whose module is above this one.
    """
    return [
        *_secret(given.secret),
        *_store(given.redis_url),
        *_keys(given.jwks),
        *_origins("LIVEDROP_ALLOWED_ORIGINS", given.allowed_origins),
        *_origins("LIVEDROP_FRAME_ANCESTORS", given.frame_ancestors),
        *_switches(given),
    ]


def _secret(secret: str) -> Iterator[str]:
    if not secret:
        yield (f"LIVEDROP_SECRET is required in production: {SECRET_BYTES} random bytes or more; {MAKE_ONE}.")
    elif any(word in secret.lower() for word in EXAMPLES):
        yield f"LIVEDROP_SECRET is an example that others know too; {MAKE_ONE}."
    elif len(set(secret)) < FEWEST_CHARACTERS:
        yield (
            f"LIVEDROP_SECRET has {len(set(secret))} different characters, {FEWEST_CHARACTERS} or more are "
            f"expected; {MAKE_ONE}."
        )
    elif _repeats(secret):
        yield f"LIVEDROP_SECRET repeats a shorter text; {MAKE_ONE}."


def _repeats(text: str) -> bool:
    """Whether a text is a shorter one again and again, the last time perhaps cut off."""
    return any(text[length:] == text[:-length] for length in range(1, len(text) // 2 + 1))


def _store(url: str) -> Iterator[str]:
    parts = urlsplit(url)
    private = not url or parts.scheme == "unix"  # without a URL it is our own, on a socket of this machine
    if not private and not (parts.password or parse_qs(parts.query).get("password")):
        yield (
            "REDIS_URL has no password: whoever reaches the store could take stock out of it; give it one "
            "(requirepass or an ACL user), or use a unix:// socket."
        )


def _keys(source: str) -> Iterator[str]:
    if source.startswith("http://"):
        yield (
            "LIVEDROP_JWKS is fetched by plain http, where anybody on the way can put in a key; use https."
        )


def _origins(name: str, origins: Sequence[str]) -> Iterator[str]:
    if "*" in origins:
        yield f"{name} is *, so the page of anybody could act for its visitor; name your shop's origins."
    plain = [origin for origin in origins if origin.startswith("http://")]
    if plain:
        yield (f"{name} has {', '.join(plain)}, a page that anybody on the way can change; use https there.")


def _switches(given: Any) -> Iterator[str]:
    if given.sandbox_url:
        yield (
            "LIVEDROP_SANDBOX_URL: production takes real money; the sandbox is no provider there, so leave "
            "it out."
        )
    if given.log_level == "debug":
        yield "LIVEDROP_LOG_LEVEL is debug, which says more than belongs into a log; use info."


def kept_secret(folder: Path) -> str:
    """Return the secret that is kept in a folder, readable by this user only; processes that race get the same.

    It is made at the first call. Raises OSError where it cannot be kept, ValueError where it is damaged.
    """
    kept = folder / "secret"
    if not kept.exists():
        _keep(kept, ids.secret(SECRET_BYTES))
    text = kept.read_text()
    if len(text.encode()) < SECRET_BYTES:
        raise ValueError(f"{kept} holds less than {SECRET_BYTES} bytes; remove it and a new one is made")
    return text


def _keep(path: Path, text: str) -> None:
    """Write a new file for this user only, whole or not at all; leave one that is there already."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    fresh = path.with_name(f"{path.name}.{os.getpid()}")
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
    try:
        path.hardlink_to(fresh)
    except FileExistsError:
        pass
    finally:
        fresh.unlink()
