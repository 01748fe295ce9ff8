"""Delimited text into rows with their physical lines."""

from __future__ import annotations

import csv
import io
import re
from typing import Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from server.catalog import rows as module
from server.catalog.rows import CELL_LIMIT, Row, decode, read_rows
from server.errors import Code, Problem

LINE_END = re.compile(r"\r\n|\r|\n")
CELLS = st.text(st.sampled_from('ab ,;"\n\r\tü€'), max_size=12)
TABLES = st.integers(1, 5).flatmap(
    lambda width: st.lists(st.lists(CELLS, min_size=width, max_size=width), min_size=1, max_size=12)
)
# The csv module leaves a CR or LF unquoted where it is not its own line end.
STYLES: st.SearchStrategy[tuple[str, Literal[0, 1]]] = st.sampled_from(
    [("\n", csv.QUOTE_ALL), ("\r\n", csv.QUOTE_MINIMAL), ("\r", csv.QUOTE_ALL)]
)
# Rows that no header of three columns fits: too many or too few cells, a stray quote, text behind a quote.
DAMAGE = st.sampled_from(
    [
        "x",
        "x,y",
        "x,y,z,more",
        '"open,y,z',
        'x,"open,z',
        '"a"b,y,z',
        'x,y,z,"',
        '"',
        'x,"y\nz,"q" r,s',
        "x\ry,z",
    ]
)


def read(text: str) -> list[Row]:
    """Return all rows."""
    return list(read_rows(text))


def kept(table: list[list[str]]) -> list[list[str]]:
    """Return the rows that are not blank."""
    return [row for row in table if any(cell.strip() for cell in row)]


@settings(deadline=None)  # a busy machine is no failure
@given(TABLES, STYLES)
def test_rows_are_those_that_the_csv_module_wrote(
    table: list[list[str]], style: tuple[str, Literal[0, 1]]
) -> None:
    """Whatever cells Python's csv module writes, with any line end, come back equal and without a problem."""
    text = io.StringIO()
    csv.writer(text, lineterminator=style[0], quoting=style[1]).writerows(table)
    found = read(text.getvalue())
    assert [row.cells for row in found] == kept(table)
    assert all(not row.problem for row in found)


@settings(deadline=None)  # a busy machine is no failure
@given(TABLES, st.sampled_from(["\n", "\r\n", "\r"]))
def test_a_row_knows_the_physical_line_it_starts_on(table: list[list[str]], line_end: str) -> None:
    """The line of each row is one more than the line endings before it, those inside quoted cells included."""
    expected: list[int] = []
    text = ""
    for row in table:
        if any(cell.strip() for cell in row):
            expected.append(len(LINE_END.findall(text)) + 1)
        text += ",".join('"' + cell.replace('"', '""') + '"' for cell in row) + line_end
    assert [row.line for row in read(text)] == expected


@settings(deadline=None)  # a busy machine is no failure
@given(st.lists(st.booleans() | DAMAGE, max_size=12), st.sampled_from(["\n", "\r\n"]))
def test_good_rows_survive_bad_ones(parts: list[bool | str], line_end: str) -> None:
    """Between rows that are damaged in any way, every good row is read, with its own line."""
    text = "one,two,three" + line_end
    expected: list[tuple[int, list[str]]] = []
    for number, part in enumerate(parts):
        if isinstance(part, str):
            text += part + line_end
            continue
        cells = [f"r{number}", "two\nlines" if part else "plain", "end"]
        expected.append((len(LINE_END.findall(text)) + 1, cells))
        text += ",".join(f'"{cell}"' if part else cell for cell in cells) + line_end
    found = [(row.line, row.cells) for row in read(text)[1:] if not row.problem]
    assert [row for row in found if row[1][2] == "end"] == expected


def test_an_open_quote_costs_its_own_row() -> None:
    """A quote that is never closed is reported on its line; the rows that it swallowed are found again."""
    found = read('h,i,j\na,"b,c\nd,e,f\n"g\n1",h,i\n')
    assert [(row.line, row.cells) for row in found if not row.problem] == [
        (1, ["h", "i", "j"]),
        (3, ["d", "e", "f"]),
        (4, ["g\n1", "h", "i"]),
    ]
    assert [(row.line, row.problem) for row in found if row.problem] == [
        (2, "has text between a closing quote and the next cell")
    ]


def test_a_file_that_ends_in_a_quoted_cell_loses_that_row_alone() -> None:
    """In a half-written file the lines of the last, open cell are no rows of their own."""
    found = read('h,i,j\na,b,c\nd,"<p>\nmore, text\n')
    assert [row.cells for row in found[:2]] == [["h", "i", "j"], ["a", "b", "c"]]
    assert [(row.line, row.problem) for row in found[2:]] == [
        (3, "ends inside a quoted field: its closing quote is missing")
    ]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("h,i,j\na,b", "has 2 cells, the header has 3"),
        ("h,i,j\na,b,c,d\n", "has 4 cells, the header has 3"),
        ('h,i,j\n"a"x,b,c\n', "has text between a closing quote and the next cell"),
        (
            f"h,i,j\na,{'b' * (CELL_LIMIT + 1)},c\n",
            "has a cell of 131073 characters, at most 131072 are read",
        ),
        (
            f'h,i,j\na,"{"b" * (2 * CELL_LIMIT + 1)}",c\n',
            "has a quoted cell without an end in its first 131072 characters",
        ),
        ("h,i,j\n" + '"",' * 60, "has more than 53 cells, the header has 3"),
    ],
)
def test_a_row_of_another_form_says_why(text: str, problem: str) -> None:
    """Cells too few, too many or too long, and loose text, are named with their numbers."""
    assert [(row.line, row.problem) for row in read(text)[1:]] == [(2, problem)]


def test_harmless_differences_are_forgiven() -> None:
    """Blank lines, rows of empty cells, empty cells too many, quotes inside plain cells, spaces after quotes."""
    found = read('h,i\n\n,,\n  \na,b,,,\n5" nail,say ""hi""\n"c" ,"d"\n')
    assert [(row.line, row.cells, row.problem) for row in found] == [
        (1, ["h", "i"], ""),
        (5, ["a", "b"], ""),
        (6, ['5" nail', 'say ""hi""'], ""),
        (7, ["c", "d"], ""),
    ]


def test_a_cell_of_exactly_128_kib_is_read() -> None:
    """The limit itself is inside, also where every character is a doubled quote."""
    text = f'h,i\na,{"b" * CELL_LIMIT}\nc,"{chr(34) * 2 * CELL_LIMIT}"\n'
    assert [len(row.cells[1]) for row in read(text)[1:] if not row.problem] == [CELL_LIMIT, CELL_LIMIT]


def test_too_many_rows_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Above the limit the whole file is refused, with the number."""
    monkeypatch.setattr(module, "ROW_LIMIT", 3)
    assert len(read("h\n1\n2\n")) == 3
    with pytest.raises(Problem, match="the file has more than 3 rows") as refused:
        read("h\n1\n2\n3\n")
    assert refused.value.code is Code.PAYLOAD_TOO_LARGE


@pytest.mark.parametrize("line", ['"', '",",', ',"', '","x', '""","', '"x,y"z,"'])
def test_a_hostile_file_takes_linear_time(line: str) -> None:
    """20,000 lines that each open a quote are read to the end, not once per line to the end."""
    assert len(read("h,i,j\n" + (line + "\n") * 20_000)) <= 20_001


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (b"", "the file is empty"),
        (b" \r\n ", "the file is empty"),
        (b"\xff\xd8\xff\xe0\x00\x10JFIF", "the file starts with a JPEG image, not CSV"),
        (b"\x89PNG\r\n\x1a\n", "the file starts with a PNG image, not CSV"),
        (b"PK\x03\x04\x14\x00", "the file starts with a ZIP archive or an Excel workbook, not CSV"),
        (b"%PDF-1.7", "the file starts with a PDF document, not CSV"),
        ("Handle,Title".encode("utf-16"), "the file starts with UTF-16 text, not CSV"),
        (b"Handle,Ti\0tle\n", "the file is not text: byte 10 is NUL"),
        (b"Handle,Title\r\nbl\xfcte,Bl\xfcte\r\n", "the file is not UTF-8: byte 17 on line 2 is 0xfc"),
    ],
)
def test_a_file_that_is_no_text_is_refused(data: bytes, sentence: str) -> None:
    """Pictures, archives, other encodings and NUL bytes are named with the place where it shows."""
    with pytest.raises(Problem, match=re.escape(sentence)) as refused:
        decode(data)
    assert refused.value.code is Code.INVALID_MESSAGE


def test_a_byte_order_mark_is_no_part_of_the_text() -> None:
    """Files that Excel saved as UTF-8 start with a mark."""
    assert decode(b"\xef\xbb\xbfHandle,Title\n") == "Handle,Title\n"


def test_a_character_cut_at_the_end_leaves_the_rest() -> None:
    """A half-written file may end within a character."""
    assert decode("a,b\nü".encode()[:-1]) == "a,b\n\ufffd"
