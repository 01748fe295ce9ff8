"""`python -m tests.house.sbom [FILE]`: what a running Livedrop is made of, as a CycloneDX list.

That is what the lock to run with names for this machine, and what the pages take from npm. What is installed must be
what the lock names, or nothing is written.
"""

from __future__ import annotations

import base64
import json
import re
import sys
import tomllib
from importlib.metadata import PackageNotFoundError, metadata, version
from pathlib import Path
from typing import TYPE_CHECKING

from cyclonedx.contrib.license.factories import LicenseFactory
from cyclonedx.model import HashAlgorithm, HashType
from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.output import make_outputter
from cyclonedx.schema import OutputFormat, SchemaVersion
from packageurl import PackageURL
from packaging.requirements import Requirement

from tests.house.tree import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterable

LOCK = ROOT / "requirements.lock"
NPM_LOCK = ROOT / "server" / "web" / "package-lock.json"
HASH = re.compile(r"--hash=sha256:([0-9a-f]{64})")
LICENCES = LicenseFactory()


def main(words: list[str]) -> int:
    """Write the list into a file: the one named, or one in dist/."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    file = Path(words[0]) if words else ROOT / "dist" / f"livedrop-{project['version']}.cdx.json"
    file.parent.mkdir(parents=True, exist_ok=True)
    parts = [*of_python(LOCK.read_text(encoding="utf-8")), *of_pages(json.loads(NPM_LOCK.read_bytes()))]
    file.write_text(listed(project, parts), encoding="utf-8")
    sys.stdout.write(f"{len(parts)} parts are listed in {file}.\n")
    return 0


def listed(project: dict[str, str], parts: Iterable[Component]) -> str:
    """Return the list as JSON, CycloneDX 1.6: what the project is, its parts, and that it needs them."""
    bom = Bom()
    root = component("pypi", project["name"], project["version"], [], project["license"])
    root.type = ComponentType.APPLICATION
    bom.metadata.component = root
    parts = list(parts)
    for part in parts:
        bom.components.add(part)
    bom.register_dependency(root, parts)
    return make_outputter(bom, OutputFormat.JSON, SchemaVersion.V1_6).output_as_string(indent=2)


def of_python(lock: str) -> list[Component]:
    """Return the packages of a lock that are for this machine. Raises ValueError where another version is installed."""
    found = []
    for line in lock.replace("\\\n", " ").splitlines():
        if line.startswith("#") or not line.strip():
            continue
        pinned = Requirement(line.partition(" --hash")[0].strip())
        if pinned.marker is not None and not pinned.marker.evaluate():
            continue
        (pin,) = pinned.specifier
        there = installed(pinned.name)
        if there != pin.version:
            raise ValueError(f"{pinned.name} {pin.version} is locked, installed is {there or 'none'}")
        hashes = [HashType(alg=HashAlgorithm.SHA_256, content=each) for each in HASH.findall(line)]
        found.append(component("pypi", pinned.name, pin.version, hashes, licence(pinned.name)))
    return found


def of_pages(lock: dict[str, dict[str, dict[str, str]]]) -> list[Component]:
    """Return what the pages take from npm: what is there for tests alone is no part."""
    return [
        component(
            "npm", path.removeprefix("node_modules/"), each["version"], [integrity(each)], each["license"]
        )
        for path, each in lock["packages"].items()
        if path and not each.get("dev")
    ]


def component(kind: str, name: str, exactly: str, hashes: list[HashType], licence: str) -> Component:
    """Return one part; `kind` is the registry that it comes from."""
    scope, _, own = name.rpartition("/")  # npm has names such as `@scope/name`
    return Component(
        type=ComponentType.LIBRARY,
        group=scope or None,
        name=own,
        version=exactly,
        bom_ref=f"pkg:{kind}/{name}@{exactly}",
        purl=PackageURL(kind, namespace=scope or None, name=own, version=exactly),
        hashes=hashes,
        licenses=[LICENCES.make_from_string(licence)] if licence else [],
    )


def integrity(package: dict[str, str]) -> HashType:
    """Return the hash that npm checks a package against."""
    algorithm, _, text = package["integrity"].partition("-")
    if algorithm != "sha512":
        raise ValueError(f"an integrity of another kind: {package['integrity']}")
    return HashType(alg=HashAlgorithm.SHA_512, content=base64.b64decode(text).hex())


def installed(name: str) -> str:
    """Return the version of a package that is installed, empty where it is not."""
    try:
        return version(name)
    except PackageNotFoundError:
        return ""


def licence(name: str) -> str:
    """Return what a package says of its licence: an SPDX expression where it has one."""
    told = metadata(name)
    by_class = [
        each.rpartition(" :: ")[2]
        for each in told.get_all("Classifier") or []
        if each.startswith("License ::")
    ]
    (text,) = told.get_all("License-Expression") or [" AND ".join(by_class)]
    return str(text)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
