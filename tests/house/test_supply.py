"""What Livedrop is made of: listed as it is installed, and nothing older than what is known to be sound."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from packaging.requirements import Requirement
from packaging.version import Version

from tests.house import sbom
from tests.house.test_locks import PROJECT, matches, pins
from tests.house.tree import ROOT

if TYPE_CHECKING:
    from pathlib import Path

# Below these are known holes in what strangers reach; who raises one says so in the changelog.
FLOORS = {"h11": "0.16.0", "msgpack": "1.2.1", "pyjwt": "2.13.0", "starlette": "1.3.1", "uvicorn": "0.52.1"}


@pytest.fixture(scope="module")
def listed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Give the list as it is written."""
    file: Path = tmp_path_factory.mktemp("sbom") / "deep" / "livedrop.cdx.json"
    assert sbom.main([str(file)]) == 0
    text = file.read_text(encoding="utf-8")
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text) is None
    found: dict[str, Any] = json.loads(text)
    return found


def test_the_list_is_the_locks(listed: dict[str, Any]) -> None:
    """It names each package of the lock to run with that is for this machine, what the pages take, and nothing else."""
    names = {name for name, marker in markers().items() if not marker}
    here = {f"pkg:pypi/{name}@{pin}" for name, pin in pins("requirements.lock").items() if name in names}
    lock = json.loads((ROOT / "server" / "web" / "package-lock.json").read_bytes())
    npm = {
        f"pkg:npm/{path.removeprefix('node_modules/').replace('@', '%40')}@{each['version']}"
        for path, each in lock["packages"].items()
        if path and not each.get("dev")
    }
    found = {each["purl"] for each in listed["components"]}
    assert here | npm <= found
    assert {purl for purl in found if purl.startswith("pkg:npm")} == npm
    assert found - npm <= {f"pkg:pypi/{name}@{pin}" for name, pin in pins("requirements.lock").items()}
    assert listed["metadata"]["component"]["name"] == "livedrop"


def markers() -> dict[str, str]:
    """Return package -> for which machines alone it is locked, empty: for all."""
    lines = (ROOT / "requirements.lock").read_text(encoding="utf-8").replace("\\\n", " ").splitlines()
    pinned = [Requirement(line.partition(" --hash")[0].strip()) for line in lines if line]
    return {each.name: str(each.marker or "") for each in pinned}


def test_parts_have_their_licences(listed: dict[str, Any]) -> None:
    """Nearly all say under which licence they come."""
    told = [each for each in listed["components"] if each.get("licenses")]
    assert len(told) > 0.9 * len(listed["components"])


def test_what_is_installed_must_be_what_is_locked() -> None:
    """A list that would say otherwise than it is, is not written."""
    with pytest.raises(ValueError, match=r"h11 0\.0\.1 is locked, installed is \d"):
        sbom.of_python("h11==0.0.1\n")
    with pytest.raises(ValueError, match="no-such-thing 1 is locked, installed is none"):
        sbom.of_python("no-such-thing==1 \\\n    --hash=sha256:" + 64 * "0" + "\n")


@pytest.mark.parametrize("name", FLOORS)
def test_nothing_is_older_than_its_floor(name: str) -> None:
    """What strangers' bytes come to first is pinned at or above the version without the known holes."""
    assert Version(pins("requirements.lock")[name]) >= Version(FLOORS[name])


def test_the_floors_are_declared() -> None:
    """Who installs without the lock gets nothing below a floor either, where it is a dependency of our own."""
    declared = {each.name.lower(): each for each in map(Requirement, PROJECT["project"]["dependencies"])}
    for name in FLOORS.keys() & declared.keys():
        below = [each for each in declared[name].specifier if each.operator == ">="]
        assert [Version(each.version) >= Version(FLOORS[name]) for each in below] == [True], name


@pytest.mark.parametrize("lock", ["requirements.lock", "requirements-dev.lock", "requirements-bench.lock"])
def test_every_pin_has_its_hashes(lock: str) -> None:
    """Each package is named with the SHA-256 of what it may be installed from: pip then takes nothing else."""
    assert [match["name"] for match in matches(lock) if not match["hashes"]] == []


def test_what_comes_from_npm_is_checked() -> None:
    """Every package of the pages' lock has its integrity, and `npm ci`, which checks it, is what installs them."""
    lock = json.loads((ROOT / "server" / "web" / "package-lock.json").read_bytes())
    assert [name for name, each in lock["packages"].items() if name and not each.get("integrity")] == []
    for file in ("Makefile", "Dockerfile"):
        text = (ROOT / file).read_text(encoding="utf-8")
        assert "npm ci " in text
        assert "npm install " not in text
