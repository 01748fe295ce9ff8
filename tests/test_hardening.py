"""What production does not start with: every refusal at once, each a sentence that says what to do."""

from __future__ import annotations

import secrets
from base64 import b64encode
from typing import TYPE_CHECKING

import pytest

from server.hardening import refusals
from server.settings import Settings, SettingsError
from tests.server import SECRET, ServerProcess

if TYPE_CHECKING:
    from pathlib import Path

GOOD = {
    "LIVEDROP_ENV": "production",
    "LIVEDROP_SECRET": SECRET,
    "REDIS_URL": "redis://:letters1@valkey:6379/0",
    "LIVEDROP_ALLOWED_ORIGINS": "https://shop.example",
    "LIVEDROP_FRAME_ANCESTORS": "https://shop.example,https://*.shop.example",
}
BAD = {
    "LIVEDROP_SECRET": "please-change-me-please-change-me",
    "REDIS_URL": "redis://valkey:6379/0",
    "LIVEDROP_ALLOWED_ORIGINS": "*,http://shop.example",
    "LIVEDROP_FRAME_ANCESTORS": "http://shop.example",
    "LIVEDROP_SANDBOX_URL": "http://127.0.0.1:8100",
    "LIVEDROP_LOG_LEVEL": "debug",
    "LIVEDROP_JWKS": "http://keys.example/",
}


def refused(**changed: str) -> list[str]:
    """Return the sentences with which production refuses good settings with these changes."""
    try:
        Settings.load({**GOOD, **changed})
    except SettingsError as error:
        return str(error).splitlines()
    return []


def test_good_settings_start() -> None:
    """A secret of its own, a store with a password and https origins are all that it takes."""
    assert refused() == []


def test_all_refusals_come_at_once() -> None:
    """Whoever starts it reads every sentence the first time: one for each setting, and two for two faults in one."""
    said = refused(**BAD)
    assert [next(name for name in BAD if line.startswith(name)) for line in said] == [
        "LIVEDROP_SECRET",
        "REDIS_URL",
        "LIVEDROP_JWKS",
        "LIVEDROP_ALLOWED_ORIGINS",
        "LIVEDROP_ALLOWED_ORIGINS",
        "LIVEDROP_FRAME_ANCESTORS",
        "LIVEDROP_SANDBOX_URL",
        "LIVEDROP_LOG_LEVEL",
    ]
    assert all(line.endswith(".") for line in said)


def test_development_starts_with_all_of_it() -> None:
    """Each is handy there; negative control: it is production that refuses, and not the settings' own checks."""
    handy = {name: value for name, value in BAD.items() if name != "LIVEDROP_SECRET"}
    assert Settings.load(handy).redis_url == BAD["REDIS_URL"]
    assert Settings.load(BAD).secret == BAD["LIVEDROP_SECRET"]


@pytest.mark.parametrize("name", BAD)
def test_each_alone_is_refused(name: str) -> None:
    """One bad setting is enough, and no secret is shown."""
    said = refused(**{name: BAD[name]})
    assert said
    assert all(line.startswith(name) for line in said)
    assert BAD["LIVEDROP_SECRET"] not in "".join(said)


@pytest.mark.parametrize(
    ("secret", "said"),
    [
        ("", "is required in production: 32 random bytes or more"),
        ("s" * 32, "has 1 different characters"),
        ("012345678" * 4, "has 9 different characters"),
        ("0123456789abcdef" * 2, "repeats a shorter text"),
        ("0123456789abcdef" * 2 + "0123", "repeats a shorter text"),
        ("CHANGE_ME-CHANGE-IT-0123456789ab", "is an example"),
        ("at least 32 random bytes, you see", "is an example"),
        ("this-is-an-example-of-a-secret-01", "is an example"),
        ("correct-password-battery-staple-1", "is an example"),
    ],
)
def test_weak_secrets(secret: str, said: str) -> None:
    """Missing, short, of few characters, repeated, or one that others know: none signs tokens for money."""
    (line,) = refused(LIVEDROP_SECRET=secret)
    assert said in line
    assert "openssl rand -base64 32" in line
    assert not secret or secret not in line


def test_a_short_secret_is_refused_everywhere() -> None:
    """Fewer than 32 bytes do not sign in development either."""
    for env in ("development", "production"):
        with pytest.raises(SettingsError, match="has 31 bytes; 32 or more are expected"):
            Settings.load({**GOOD, "LIVEDROP_ENV": env, "LIVEDROP_SECRET": SECRET[:31]})


def test_random_secrets_pass() -> None:
    """Whatever the usual tools make is never taken for weak."""
    for _ in range(300):
        for made in (
            secrets.token_urlsafe(32),
            secrets.token_hex(32),
            b64encode(secrets.token_bytes(32)).decode(),
        ):
            assert refusals(Settings(secret=made, redis_url=GOOD["REDIS_URL"])) == []


@pytest.mark.parametrize(
    "url",
    [
        "",
        "unix:///run/valkey.sock",
        "redis://user:letters1@valkey",
        "rediss://:letters1@valkey:6380/1",
        "redis://:letters1@one:6379,two:6379?cluster=true",
        "redis://valkey?password=letters1",
    ],
)
def test_stores_with_a_password(url: str) -> None:
    """By name, by option, of a cluster; a socket, our own store's too, has its file's rights instead."""
    assert refused(REDIS_URL=url) == []


@pytest.mark.parametrize("url", ["redis://valkey", "rediss://user@valkey", "redis://one,two?cluster=true"])
def test_stores_without_one(url: str) -> None:
    """No password, or a name without one: each is refused."""
    (line,) = refused(REDIS_URL=url)
    assert line.startswith("REDIS_URL")


def test_the_defaults_are_looked_at_too() -> None:
    """Nothing given: production lacks a secret, and has nothing else against the defaults."""
    assert [line.split()[0] for line in refusals(Settings())] == ["LIVEDROP_SECRET"]


def test_the_commands_say_it_and_end(tmp_path: Path) -> None:
    """Exit code 1, every sentence on stderr, and nothing was made."""
    one = ServerProcess(tmp_path / "data", settings={**BAD, "LIVEDROP_ENV": "production"})
    done = one.command("serve")
    assert (done.returncode, done.stdout) == (1, "")
    assert [name for name in BAD if name not in done.stderr] == []
    assert not one.data.exists()
