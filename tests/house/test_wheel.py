"""The image as far as it goes without Docker: built in a folder by the Dockerfile's commands, then run."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import zipfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import pytest

from tests.house.dockerfile import carry_out, environment, only, stages
from tests.house.tree import LUA, ROOT, SERVER, files
from tests.server import free_port
from tests.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

DOCKERFILE = stages((ROOT / "Dockerfile").read_text(encoding="utf-8"))
DRAIN_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Serving:
    """A server that was started: its process, the file it writes to, and the environment it has."""

    process: subprocess.Popen[bytes]
    log: Path
    env: dict[str, str] = field(repr=False)

    def is_ready(self) -> bool:
        """Whether /readyz answers 200 now; fails with the log if the server has ended."""
        assert self.process.poll() is None, self.log.read_text(encoding="utf-8")
        try:
            answer = httpx.get(f"http://127.0.0.1:{self.env['LIVEDROP_PORT']}/readyz", timeout=2)
        except httpx.TransportError:
            return False
        return answer.status_code == httpx.codes.OK


def plain_environment() -> dict[str, str]:
    """Return this process's environment without anything that points at this checkout or sets Livedrop up."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("LIVEDROP_", "COV_", "PYTEST_"))
        and name not in {"REDIS_URL", "DATABASE_URL", "PYTHONPATH", "VIRTUAL_ENV"}
    }
    return kept | {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{kept['PATH']}"}


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Carry out the Dockerfile's stages that fetch and build; return the folder that stands for the image's root."""
    root = tmp_path_factory.mktemp("image")
    for stage in DOCKERFILE[:-1]:
        carry_out(stage, ROOT, root, plain_environment())
    return root


@pytest.fixture
def serving(image: Path, tmp_path: Path) -> Iterator[Serving]:
    """Start what the image starts, on a free port with data of its own; end it afterwards."""
    env = plain_environment() | environment(DOCKERFILE[-1])
    venv = image / "opt" / "livedrop"
    env |= {
        "PATH": f"{venv / 'bin'}:/usr/bin:/bin",
        "HOME": str(tmp_path),
        "LIVEDROP_HOST": "127.0.0.1",
        "LIVEDROP_PORT": str(free_port()),
        "LIVEDROP_DATA": str(tmp_path / "data"),
    }
    words = only(DOCKERFILE[-1], "ENTRYPOINT").listed() + only(DOCKERFILE[-1], "CMD").listed()
    command = [str(venv / "bin" / words[0]), *words[1:]]
    log = tmp_path / "server.log"
    empty = tmp_path / "empty"
    empty.mkdir()
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, cwd=empty, env=env, stdin=subprocess.DEVNULL, stdout=output, stderr=output
        )
    try:
        yield Serving(process, log, env)
    finally:
        end(process)


def end(process: subprocess.Popen[bytes]) -> None:
    """End a server that a failed test left running: asked first, so that it ends its own Redis too."""
    process.terminate()
    try:
        process.wait(DRAIN_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def test_the_wheel_carries_everything_that_is_not_a_test(image: Path) -> None:
    """Every file of `server` and `lua` is in the wheel: scripts, pages, migrations and the sample feed."""
    (wheel,) = (image / "wheels").glob("livedrop-*.whl")
    with zipfile.ZipFile(wheel) as archive:
        inside = set(archive.namelist())
    sources = {path.relative_to(ROOT).as_posix() for path in files(SERVER, "*")}
    scripts = {f"server/lua/{path.relative_to(LUA).as_posix()}" for path in files(LUA, "*")}
    assert (sources | scripts) - inside == set()
    for kind in ("server/lua/*.lua", "server/lua/includes/*.lua", "server/web/*.html", "server/web/*.js"):
        assert any(Path(name).match(kind) for name in inside), f"the wheel has no {kind}"
    assert any(Path(name).match("server/ledger/migrations/versions/0*.py") for name in inside)
    assert any(name.endswith(".csv") for name in inside), "the wheel has no sample feed"
    scripts_of_others = ("hls.mjs", "uplot.mjs", "uplot.css", "noble/sha2.mjs")
    for name in (*scripts_of_others, "hls.LICENSE", "uplot.LICENSE", "noble/LICENSE"):
        assert f"server/web/vendor/{name}" in inside


def test_the_wheel_alone_serves_and_leaves_cleanly(serving: Serving) -> None:
    """From the wheel alone the server becomes ready, passes the HEALTHCHECK, and drains to exit 0."""
    wait_until(serving.is_ready, "the server is ready")
    health = only(DOCKERFILE[-1], "HEALTHCHECK").listed()
    python = Path(serving.env["PATH"].split(":")[0]) / health[0]
    subprocess.run([str(python), *health[1:]], env=serving.env, check=True, timeout=10)
    serving.process.send_signal(getattr(signal, only(DOCKERFILE[-1], "STOPSIGNAL").words))
    wait_until(lambda: serving.process.poll() is not None, "the server has ended")
    assert serving.process.returncode == 0, serving.log.read_text(encoding="utf-8")
    assert processes_naming(serving.env["LIVEDROP_DATA"]) == []


def test_the_healthcheck_fails_where_nobody_serves(image: Path) -> None:
    """The HEALTHCHECK says no when the port is closed: it can fail."""
    command = only(DOCKERFILE[-1], "HEALTHCHECK").listed()
    env = plain_environment() | {"LIVEDROP_PORT": str(free_port())}
    python = image / "opt" / "livedrop" / "bin" / command[0]
    result = subprocess.run(
        [str(python), *command[1:]], env=env, check=False, capture_output=True, timeout=10
    )
    assert result.returncode == 1


def test_the_image_runs_with_as_little_as_it_can() -> None:
    """Slim stages, only the venv goes over, the user is not root, the data folder is a volume."""
    pages, build, final = DOCKERFILE
    assert only(pages, "FROM").words == "node:22-slim AS pages"
    assert only(build, "FROM").words == "python:3.11-slim AS build"
    assert only(final, "FROM").words == "python:3.11-slim"
    assert only(final, "COPY").words == "--from=build /opt/livedrop /opt/livedrop"
    assert only(final, "USER").words == "10001:10001"
    assert only(final, "VOLUME").words == environment(final)["LIVEDROP_DATA"] == "/data"
    assert only(final, "EXPOSE").words == environment(final)["LIVEDROP_PORT"]
    assert environment(final)["LIVEDROP_HOST"] == "0.0.0.0"  # noqa: S104  a container listens to its network
    assert environment(final)["PATH"].startswith("/opt/livedrop/bin:")
    assert "/healthz" in only(final, "HEALTHCHECK").words


def test_the_builder_is_given_what_it_copies() -> None:
    """Everything that the Dockerfile copies is let through by .dockerignore."""
    allowed = {
        line[1:]
        for line in (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
        if line.startswith("!")
    }
    copied = {
        name.partition("/")[0]
        for stage in DOCKERFILE[:-1]
        for step in stage
        if step.name == "COPY" and not step.words.startswith("--from=")
        for name in step.words.split()[:-1]
    }
    assert copied == allowed


def processes_naming(text: str) -> list[int]:
    """Return the ids of the processes whose command line or working folder names `text`."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            told = (entry / "cmdline").read_bytes().decode(errors="replace") + str((entry / "cwd").readlink())
        except OSError:
            continue
        if text in told:
            found.append(int(entry.name))
    return found
