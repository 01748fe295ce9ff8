"""The rows of a delimited text file, each with the physical line on which it starts.

RFC 4180 with every line ending (CRLF, LF, lone CR) counted as one line, also inside quoted cells. Made to
read on past damage: a row with a quote too many or too few is reported, and the rows that its open quote
swallowed are found again. (The csv module loses its place there; its cell limit is the whole process's.)
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from server.errors import Code, Problem

if TYPE_CHECKING:
    from collections.abc import Iterator

CELL_LIMIT = 128 * 1024  # characters
QUOTE = '"'

# What people upload instead, by its first bytes.
SIGNATURES: tuple[tuple[bytes, str], ...] = (
    (b"\xff\xd8\xff", "a JPEG image"),
    (b"\x89PNG", "a PNG image"),
    (b"GIF8", "a GIF image"),
    (b"RIFF", "a WebP image or a recording"),
    (b"%PDF", "a PDF document"),
    (b"PK\x03\x04", "a ZIP archive or an Excel workbook"),
    (b"\xd0\xcf\x11\xe0", "an old Excel workbook"),
    (b"\x1f\x8b", "a gzip archive"),
    (b"\xff\xfe", "UTF-16 text"),
    (b"\xfe\xff", "UTF-16 text"),
)

ROW_LIMIT = 100_000  # with the header
WIDEST = 1_000  # cells of a header
SPARE = 50  # cells behind the header's width after which a row is given up

_LINE_END = re.compile(r"\r\n|\r|\n")
_IN_QUOTES = re.compile(r'[^"]*+(?:""[^"]*+)*+')


@dataclass(slots=True)
class Row:
    """One row. `problem` is the reason why its cells cannot be trusted, or empty."""

    line: int
    cells: list[str]
    problem: str = ""


def decode(data: bytes) -> str:
    """Return a file's text. Raises `invalid-message` where it is empty, something else, or not UTF-8.

    A byte order mark is dropped. A character that is cut off at the very end, as in a half-written file, is
    replaced by U+FFFD: the rows before it are good.
    """
    if not data.strip():
        raise _invalid("the file is empty")
    for signature, kind in SIGNATURES:
        if data.startswith(signature):
            raise _invalid(f"the file starts with {kind}, not CSV: save it as CSV in UTF-8")
    nul = data.find(0)
    if nul >= 0:
        raise _invalid(f"the file is not text: byte {nul + 1} is NUL")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        if error.end == len(data) and "unexpected end" in error.reason:
            return data.decode("utf-8-sig", "replace")
        line = _lines_in(data[: error.start].decode("latin-1")) + 1
        raise _invalid(
            f"the file is not UTF-8: byte {error.start + 1} on line {line} is 0x{data[error.start]:02x}"
        ) from error


def read_rows(text: str, delimiter: str = ",") -> Iterator[Row]:
    """Yield the rows of `text`, the first being the header, whose width the others must have.

    Empty cells too many at the end of a row are dropped; blank rows are left out. A row of another width,
    with an open quote, or with a cell above 128 KiB has its `problem`. Raises `payload-too-large` above
    100,000 rows.
    """
    plain = re.compile(f"[^{re.escape(delimiter)}\r\n]*+")
    position, line, width, count = 0, 1, 0, 0
    swallowed_until = 0  # up to here a damaged row took other rows for its own; what fits the header is one
    while position < len(text):
        cells, end, problem = _record(text, position, delimiter, plain, width or WIDEST)
        blank = not problem and not any(cell.strip() for cell in cells)
        if not blank:
            width = width or len(cells)
            problem = problem or _misfit(cells, width, end - position)
            if not problem or position >= swallowed_until:
                count += 1
                if count > ROW_LIMIT:
                    raise Problem(Code.PAYLOAD_TOO_LARGE, f"the file has more than {ROW_LIMIT} rows")
                yield Row(line, cells, problem)
                swallowed_until = end if problem else 0
            if problem:
                end = _line_end(text, position)
        line += _lines_in(text[position:end])
        position = end


def _record(
    text: str, start: int, delimiter: str, plain: re.Pattern[str], width: int
) -> tuple[list[str], int, str]:
    """Return the cells of the row at `start`, where the next row starts, and a problem or nothing."""
    end = _line_end(text, start)
    if text.find(QUOTE, start, end) < 0:
        return text[start:end].rstrip("\r\n").split(delimiter), end, ""
    cells: list[str] = []
    problem = ""
    at = start
    # A row that is given up early keeps a hostile file from being read to its end once for every line.
    while len(cells) < width + SPARE:
        cell, at, wrong = _cell(text, at, plain)
        cells.append(cell)
        problem = problem or wrong
        if not text.startswith(delimiter, at):
            return cells, _after(_LINE_END, text, at), problem
        at += len(delimiter)
    return cells, at, f"has more than {len(cells)} cells, the header has {width}"


def _cell(text: str, at: int, plain: re.Pattern[str]) -> tuple[str, int, str]:
    """Return the cell at `at`, where it ends, and a problem or nothing."""
    if not text.startswith(QUOTE, at):
        end = _after(plain, text, at)
        return text[at:end], end, ""
    start = at + 1
    close = _after(_IN_QUOTES, text, start, start + 2 * CELL_LIMIT)
    cell = text[start:close].replace('""', QUOTE)
    if not text.startswith(QUOTE, close):
        if close < len(text):
            return cell, close, f"has a quoted cell without an end in its first {CELL_LIMIT} characters"
        return cell, close, "ends inside a quoted field: its closing quote is missing"
    end = _after(plain, text, close + 1)
    rest = text[close + 1 : end].strip()
    return cell, end, "has text between a closing quote and the next cell" if rest else ""


def _misfit(cells: list[str], width: int, length: int) -> str:
    """Say what is wrong with a row's form, or nothing; drops empty cells that are too many."""
    while len(cells) > width and not cells[-1].strip():
        cells.pop()
    if len(cells) != width:
        return f"has {len(cells)} cells, the header has {width}"
    if length > CELL_LIMIT:
        longest = max(len(cell) for cell in cells)
        if longest > CELL_LIMIT:
            return f"has a cell of {longest} characters, at most {CELL_LIMIT} are read"
    return ""


def _after(pattern: re.Pattern[str], text: str, at: int, until: int | None = None) -> int:
    """Return where the pattern's match at `at` ends; `at` itself where it does not match."""
    found = pattern.match(text, at, len(text) if until is None else until)
    return found.end() if found else at


def _line_end(text: str, start: int) -> int:
    """Return where the next physical line starts."""
    found = _LINE_END.search(text, start)
    return found.end() if found else len(text)


def _lines_in(part: str) -> int:
    """Count the line endings; CR and LF together are one."""
    return part.count("\n") + part.count("\r") - part.count("\r\n")


def _invalid(sentence: str) -> Problem:
    return Problem(Code.INVALID_MESSAGE, sentence)
