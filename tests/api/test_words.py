"""The pages' sentences: every language says all that English says, about the same things."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from babel import Locale

from server.api.pages import PAGES, WEB
from server.api.words import COMMON, SOURCE, languages, read, words

if TYPE_CHECKING:
    from collections.abc import Iterator

FOLDER = WEB / "words"
FILES = (COMMON, *PAGES)
OTHERS = [language for language in languages(FOLDER) if language != SOURCE]
PLACEHOLDER = re.compile(r"\{(\w+)\}")
IN_HTML = re.compile(r"\{\{\s*([\w.-]+)\s*\}\}")
IN_SCRIPT = re.compile(r"""\b(?:text|hasText)\(\s*"([\w.-]+)\"""")


def sentences(entry: str | dict[str, str]) -> list[str]:
    """Return all forms of a sentence."""
    return [entry] if isinstance(entry, str) else list(entry.values())


def placeholders(entry: str | dict[str, str]) -> set[str]:
    """Return what stands in for something in a sentence, in any of its forms."""
    return {name for sentence in sentences(entry) for name in PLACEHOLDER.findall(sentence)}


@pytest.mark.parametrize("file", FILES)
@pytest.mark.parametrize("language", OTHERS)
def test_no_key_is_missing_or_too_many(language: str, file: str) -> None:
    """Each file of a language has exactly the keys of the English one."""
    english, other = read(FOLDER, SOURCE, file), read(FOLDER, language, file)
    missing, surplus = sorted(english.keys() - other.keys()), sorted(other.keys() - english.keys())
    assert (missing, surplus) == ([], []), (
        f"{language}/{file}.json lacks {missing} and has {surplus} too many"
    )


@pytest.mark.parametrize("file", FILES)
@pytest.mark.parametrize("language", OTHERS)
def test_placeholders_are_those_of_the_english_sentence(language: str, file: str) -> None:
    """A sentence speaks of what the English one speaks of; the count alone may stand in a word, as in `one`."""
    english, other = read(FOLDER, SOURCE, file), read(FOLDER, language, file)
    differing = {
        key: (sorted(placeholders(english[key])), sorted(placeholders(entry)))
        for key, entry in other.items()
        if key in english and placeholders(entry) - {"count"} != placeholders(english[key]) - {"count"}
    }
    assert differing == {}, f"{language}/{file}.json: key -> (English placeholders, its own)"


@pytest.mark.parametrize("file", FILES)
@pytest.mark.parametrize("language", [SOURCE, *OTHERS])
def test_counted_sentences_have_every_plural_form(language: str, file: str) -> None:
    """What is counted in English is counted in every language, in all forms that its numbers ask for, and no others."""
    english = read(FOLDER, SOURCE, file)
    forms = {*Locale.parse(language).plural_form.tags, "other"}
    wrong = {}
    for key, entry in read(FOLDER, language, file).items():
        counted = isinstance(english.get(key, entry), dict)
        if isinstance(entry, dict) != counted:
            wrong[key] = f"counted in English: {counted}"
        elif isinstance(entry, dict) and set(entry) != forms:
            wrong[key] = f"has {sorted(entry)}, needs {sorted(forms)}"
    assert wrong == {}, f"{language}/{file}.json"


@pytest.mark.parametrize("language", [SOURCE, *OTHERS])
def test_no_sentence_is_empty_or_markup(language: str) -> None:
    """A sentence says something, without spaces around it, and holds no markup: it is shown as text."""
    wrong = {
        f"{file}: {key}": sentence
        for file in FILES
        for key, entry in read(FOLDER, language, file).items()
        for sentence in sentences(entry)
        if not sentence.strip() or sentence != sentence.strip() or re.search(r"<\w|&\w+;", sentence)
    }
    assert wrong == {}


def used() -> Iterator[tuple[str, str]]:
    """Yield every key that a page's HTML, or a script by a plain string, names, with its file."""
    for path in [*WEB.glob("*.html"), *WEB.glob("*.js")]:
        pattern = IN_HTML if path.suffix == ".html" else IN_SCRIPT
        for key in pattern.findall(path.read_text(encoding="utf-8")):
            yield path.name, key


def test_every_key_that_is_used_has_a_sentence() -> None:
    """Pages and scripts name no key that nobody wrote; a script of one page may be the other's too."""
    known = {key for page in PAGES for key in words(FOLDER, SOURCE, page)}
    assert [f"{name}: {key}" for name, key in used() if key not in known] == []
    for page in PAGES:
        own = words(FOLDER, SOURCE, page)
        assert [key for name, key in used() if name == f"{page}.html" and key not in own] == []


def test_a_page_knows_no_key_of_another_file_twice() -> None:
    """A key stands in one file: what both pages say is common."""
    files = [set(read(FOLDER, SOURCE, file)) for file in FILES]
    assert files[0] & files[1] == files[0] & files[2] == files[1] & files[2] == set()
