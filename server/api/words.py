"""What the pages say: one folder of sentences per language, and which language somebody gets.

`words/<language>/common.json` is for every page, `viewer.json` and `host.json` for theirs: a key, and its sentence
with `{placeholders}`, or one sentence per plural form of `{count}`. English is the source; what another language
lacks is said in English.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from babel import Locale, negotiate_locale

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

SOURCE = "en"
COMMON = "common"
MAX_ASKED = 20  # languages of an Accept-Language that are looked at: browsers send fewer

Words = dict[str, str | dict[str, str]]


def languages(folder: Path) -> dict[str, str]:
    """Return every language that there is with its own name for itself; the source comes first."""
    found = sorted(path.name for path in folder.iterdir() if path.is_dir())
    ordered = sorted(found, key=lambda language: language != SOURCE)
    return {language: _own_name(language) for language in ordered}


def _own_name(language: str) -> str:
    name = Locale.parse(language).get_display_name() or language
    return name[:1].upper() + name[1:]  # it stands alone in a list: some languages begin theirs small


def direction(language: str) -> str:
    """Return where the lines of a language begin: `ltr` or `rtl`."""
    return Locale.parse(language).text_direction


def words(folder: Path, language: str, page: str) -> Words:
    """Return what a page can say in a language, English where the language lacks it."""
    said: Words = {}
    for name in dict.fromkeys((SOURCE, language)):
        for file in (COMMON, page):
            said |= read(folder, name, file)
    return said


def read(folder: Path, language: str, file: str) -> Words:
    """Return one file of sentences; one that is not there has none."""
    path = folder / language / f"{file}.json"
    if not path.is_file():
        return {}
    found: Words = json.loads(path.read_text(encoding="utf-8"))
    return found


def chosen(asked: str | None, accept: str, known: Sequence[str]) -> str:
    """Return the language to speak: the one asked for by name, else the best of an Accept-Language, else the source.

    A name or range that is not known to a letter counts for its language: `de-AT` is `de`.
    """
    written = {name.lower(): name for name in known}
    found = (asked and negotiate_locale([asked.lower()], written, sep="-")) or negotiate_locale(
        _ranked(accept.lower()), written, sep="-"
    )
    return written[found] if found else SOURCE


def _ranked(accept: str) -> list[str]:
    """Return the ranges of an Accept-Language that are wanted at all, the most wanted first (RFC 9110, 12.5.4)."""
    ranges = []
    for part in accept.split(",")[:MAX_ASKED]:
        name, *parameters = (piece.strip() for piece in part.split(";"))
        weight = _weight(parameters)
        if name and weight > 0:
            ranges.append((weight, SOURCE if name == "*" else name))
    return [name for _, name in sorted(ranges, key=lambda ranged: -ranged[0])]


def _weight(parameters: Sequence[str]) -> float:
    """Return the `q` among the parameters, 1 where none is said, 0 for what is none."""
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name.strip() == "q":
            try:
                return min(1.0, max(0.0, float(value)))
            except ValueError:
                return 0.0
    return 1.0
