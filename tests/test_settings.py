"""Settings come from the environment and `.env`, are checked, and keep secrets secret."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from server.settings import Settings, SettingsError, table

SECRET = "0123456789abcdef-fedcba987654321"  # 32 bytes
STORE = "redis://:letters1@127.0.0.1"  # production has no private one


def test_defaults_are_those_of_the_contract() -> None:
    """Without anything given: development, this machine only, port 8000, private store and ledger."""
    settings = Settings.load({})
    assert (settings.env, settings.host, settings.port, settings.production) == (
        "development",
        "127.0.0.1",
        8000,
        False,
    )
    assert (settings.redis_url, settings.database_url, settings.allowed_origins) == ("", "", ())
    assert (settings.messages_per_second, settings.message_burst, settings.message_bytes) == (20, 60, 65_536)
    assert (settings.sockets_per_viewer, settings.hello_seconds, settings.issuer) == (8, 5, "livedrop")
    assert (settings.connections_per_address, settings.trusted_proxies, settings.deflate) == (0, (), False)


def test_every_value_is_converted() -> None:
    """Numbers become int, folders Path with ~ resolved, lists tuples; blanks around do not matter."""
    settings = Settings.load(
        {
            "LIVEDROP_PORT": " 9000 ",
            "LIVEDROP_DATA": "~/shop",
            "LIVEDROP_ALLOWED_ORIGINS": "https://a.example, http://localhost:3000,",
            "REDIS_URL": "rediss://:pw@host:6380/1",
            "DATABASE_URL": "postgresql+psycopg://u:pw@host/livedrop",
            "LIVEDROP_APPENDFSYNC": "always",
            "LIVEDROP_TRUSTED_PROXIES": " 10.0.0.0/8, 2001:db8::7,",
        }
    )
    assert settings.port == 9000
    assert settings.data == Path.home() / "shop"
    assert settings.allowed_origins == ("https://a.example", "http://localhost:3000")
    assert settings.redis_url == "rediss://:pw@host:6380/1"
    assert settings.database_url.endswith("@host/livedrop")
    assert settings.appendfsync == "always"
    assert settings.trusted_proxies == ("10.0.0.0/8", "2001:db8::7")


@pytest.mark.parametrize(
    ("text", "deflate"), [("true", True), ("True", True), ("1", True), ("false", False), ("0", False)]
)
def test_switches_are_true_or_false(text: str, deflate: bool) -> None:  # noqa: FBT001  the value under test
    """A switch is on with `true` or `1` and off with `false` or `0`; nothing else is taken for either."""
    assert Settings.load({"LIVEDROP_DEFLATE": text}).deflate is deflate


@pytest.mark.parametrize(
    ("given", "limit"),
    [
        ({}, 0),
        ({"LIVEDROP_CONNECTIONS_PER_ADDRESS": "7"}, 7),
        ({"LIVEDROP_ENV": "production"}, 1000),
        ({"LIVEDROP_ENV": "production", "LIVEDROP_CONNECTIONS_PER_ADDRESS": "0"}, 0),
        ({"LIVEDROP_ENV": "production", "LIVEDROP_CONNECTIONS_PER_ADDRESS": "7"}, 7),
    ],
)
def test_production_limits_addresses_by_default(given: dict[str, str], limit: int) -> None:
    """Without a word, an address may have 1000 sockets in production and any number elsewhere; a word decides."""
    usual = {"LIVEDROP_SECRET": SECRET, "REDIS_URL": STORE}
    assert Settings.load({**usual, **given}).connections_per_address == limit


def test_the_environment_wins_over_the_file(tmp_path: Path) -> None:
    """A `.env` file fills what the environment leaves out; an empty value means the default."""
    file = tmp_path / ".env"
    file.write_text("LIVEDROP_PORT=1\nLIVEDROP_HOST=0.0.0.0\nexport LIVEDROP_ISSUER='shop $x'\nOTHER=1\n")
    settings = Settings.load({"LIVEDROP_PORT": "2", "LIVEDROP_LOG_LEVEL": ""}, file)
    assert (settings.port, settings.host, settings.issuer) == (2, "0.0.0.0", "shop $x")  # noqa: S104  nothing listens
    assert settings.log_level == "info"


def test_the_process_and_its_folder_are_the_default(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without arguments the process's environment and `.env` in the current folder are read."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LIVEDROP_PORT", "81")
    assert Settings.load().port == 81
    (tmp_path / ".env").write_text("LIVEDROP_PORT=82\nLIVEDROP_FLUSH_MS=83\n")
    settings = Settings.load()
    assert (settings.port, settings.flush_ms) == (81, 83)


@pytest.mark.parametrize(
    ("given", "complaint"),
    [
        ({"LIVEDROP_PROT": "1"}, "LIVEDROP_PROT is no setting; the nearest is LIVEDROP_PORT"),
        ({"LIVEDROP_REDIS_URL": "x"}, "LIVEDROP_REDIS_URL is no setting; the nearest is REDIS_URL"),
        ({"LIVEDROP_PORT": "x"}, "LIVEDROP_PORT: 'x' is not valid; expected: a whole number from 0 to 65535"),
        ({"LIVEDROP_PORT": "65536"}, "'65536' is not valid"),
        ({"LIVEDROP_PORT": "-1"}, "'-1' is not valid"),
        ({"LIVEDROP_FLUSH_MS": "1.5"}, "'1.5' is not valid; expected: a whole number from 0 to 150"),
        ({"LIVEDROP_LOG_LENGTH": "0"}, "'0' is not valid; expected: a whole number of 1 or more"),
        ({"LIVEDROP_ENV": "prod"}, "LIVEDROP_ENV: 'prod' is not valid; expected: development or production"),
        ({"LIVEDROP_APPENDFSYNC": "no"}, "expected: everysec or always"),
        ({"LIVEDROP_ALLOWED_ORIGINS": "shop.example"}, "'shop.example' is not valid; expected: https://shop"),
        ({"LIVEDROP_ALLOWED_ORIGINS": "https://a.example/path"}, "is not valid"),
        ({"LIVEDROP_DEFLATE": "yes"}, "LIVEDROP_DEFLATE: 'yes' is not valid; expected: true or false"),
        ({"LIVEDROP_HEADER_BYTES": "100"}, "expected: a whole number of 1024 or more"),
        (
            {"LIVEDROP_TRUSTED_PROXIES": "*"},
            "LIVEDROP_TRUSTED_PROXIES: '*' does not appear to be an IPv4 or IPv6",
        ),
        (
            {"LIVEDROP_TRUSTED_PROXIES": "10.0.0.1/8"},
            "10.0.0.1/8 has host bits set; expected: 10.0.0.0/8,192.0.2.7",
        ),
        (
            {"LIVEDROP_ENV": "production"},
            "LIVEDROP_SECRET is required in production: 32 random bytes or more",
        ),
        ({"LIVEDROP_SECRET": SECRET[:-1]}, "LIVEDROP_SECRET has 31 bytes; 32 or more are expected"),
    ],
)
def test_wrong_settings_are_named(given: dict[str, str], complaint: str) -> None:
    """Unknown names, wrong values and missing secrets each give a sentence with what is expected."""
    with pytest.raises(SettingsError) as caught:
        Settings.load(given)
    assert complaint in str(caught.value)


@pytest.mark.parametrize(
    "given",
    [
        {"REDIS_URL": "http://:hunter2@host"},
        {"DATABASE_URL": "mysql://u:hunter2@host/db"},
        {"LIVEDROP_SECRET": "hunter2"},
    ],
)
def test_errors_show_no_secret(given: dict[str, str]) -> None:
    """A wrong secret or URL is named in the error, but its value is not shown."""
    with pytest.raises(SettingsError) as caught:
        Settings.load(given)
    assert next(iter(given)) in str(caught.value)
    assert "hunter2" not in str(caught.value)


def test_no_listing_shows_a_secret() -> None:
    """Printing the settings shows that secrets are set, not what they are."""
    text = repr(Settings.load({"LIVEDROP_SECRET": SECRET, "REDIS_URL": "redis://:hunter2@host"}))
    assert SECRET not in text
    assert "hunter2" not in text
    assert "secret='***'" in text
    assert "port=8000" in text


def test_a_given_secret_is_used(tmp_path: Path) -> None:
    """A given secret is the key, in production too, and nothing is written."""
    given = {"LIVEDROP_ENV": "production", "LIVEDROP_SECRET": SECRET, "LIVEDROP_DATA": str(tmp_path / "d")}
    given["REDIS_URL"] = STORE
    assert Settings.load(given).secret_key() == SECRET
    assert not (tmp_path / "d").exists()


def test_development_keeps_a_secret(tmp_path: Path) -> None:
    """Development makes a key once, for this user's eyes only, and finds it again."""
    settings = Settings.load({"LIVEDROP_DATA": str(tmp_path / "d")})
    made = settings.secret_key()
    assert len(made.encode()) >= 32
    assert settings.secret_key() == Settings.load({"LIVEDROP_DATA": str(tmp_path / "d")}).secret_key() == made
    assert (tmp_path / "d" / "secret").stat().st_mode & 0o777 == 0o600
    assert [path.name for path in (tmp_path / "d").iterdir()] == ["secret"]


def test_racing_processes_keep_one_secret(tmp_path: Path) -> None:
    """Processes that need the first key at the same moment all get the same one."""
    code = "from server.settings import Settings; print(Settings.load().secret_key())"
    environ = {**os.environ, "LIVEDROP_DATA": str(tmp_path / "d")}
    racing = [
        subprocess.Popen([sys.executable, "-c", code], env=environ, stdout=subprocess.PIPE, text=True)
        for _ in range(4)
    ]
    assert len({process.communicate()[0] for process in racing}) == 1


@pytest.mark.parametrize("kept", ["short", ""])
def test_a_damaged_kept_secret_is_an_error(tmp_path: Path, kept: str) -> None:
    """A kept key that is too short is not used; the error says what to do."""
    (tmp_path / "secret").write_text(kept)
    with pytest.raises(SettingsError, match="holds less than 32 bytes; remove it"):
        Settings.load({"LIVEDROP_DATA": str(tmp_path)}).secret_key()


def test_a_secret_that_cannot_be_kept_is_an_error(tmp_path: Path) -> None:
    """Where the data folder cannot be made, the error names it and the setting that helps."""
    (tmp_path / "file").write_text("")
    with pytest.raises(SettingsError, match=r"file: .*Set LIVEDROP_SECRET"):
        Settings.load({"LIVEDROP_DATA": str(tmp_path / "file")}).secret_key()


def test_the_table_lists_every_setting() -> None:
    """Each setting is listed with its name, its default as one would write it, and its meaning."""
    rows = {name: (default, meaning) for name, default, meaning in table()}
    assert len(rows) == len(Settings.__struct_fields__)
    assert rows["LIVEDROP_PORT"][0] == "8000"
    assert rows["REDIS_URL"][0] == ""
    assert rows["LIVEDROP_DEFLATE"][0] == "false"
    default, meaning = rows["LIVEDROP_CONNECTIONS_PER_ADDRESS"]
    assert (default, meaning.endswith("0: no limit; in production 1000")) == ("0", True)
    assert all(meaning for _, meaning in rows.values())
    written = {name: default for name, (default, _) in rows.items() if default}
    assert Settings.load(written) == Settings.load({})
