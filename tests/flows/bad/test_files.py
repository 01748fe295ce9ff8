"""Files that are no product feed, or only half of one: refused, or taken up to there with the reason."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from server import ids
from server.auth import Role
from server.catalog.readers import SAMPLE_FEED
from tests.stage import FEED, MUG_PRICE

if TYPE_CHECKING:
    import httpx

    from tests.stage import Stage

SAMPLE = SAMPLE_FEED.read_bytes()
JPEG = b"\xff\xd8\xff\xe0\x00\x10JFIF\x00\x01" + bytes(range(256)) * 40


async def imported(stage: Stage, feed: bytes, query: str = "?currency=EUR") -> httpx.Response:
    """Send a file to the import."""
    return await stage.host("POST", f"/v1/catalog/import{query}", content=feed)


@pytest.mark.parametrize(
    ("feed", "sentence"),
    [
        (JPEG, "the file starts with a JPEG image, not CSV"),
        (b"\x89PNG\r\n\x1a\n" + bytes(64), "the file starts with a PNG image, not CSV"),
        (b"", "the file is empty"),
        (SAMPLE.decode().encode("utf-16"), "the file starts with UTF-16 text, not CSV"),
        (FEED[:40] + b"\0" + FEED[40:], "the file is not text: byte 41 is NUL"),
        (b'{"products": []}', "the first row is no Shopify header"),
        (FEED[:50], "the first row is no Shopify header"),
    ],
    ids=["JPEG", "PNG", "empty", "UTF-16", "NUL", "JSON", "half-a-header"],
)
async def test_a_file_that_is_no_feed_is_refused_as_a_whole(stage: Stage, feed: bytes, sentence: str) -> None:
    """It is `invalid-message` with what the file seems to be; the catalog stays as it was."""
    before = (await stage.host("GET", "/v1/catalog/products?limit=200")).json()
    answer = await imported(stage, feed)
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid-message")
    assert answer.json()["detail"].startswith(sentence)
    assert (await stage.host("GET", "/v1/catalog/products?limit=200")).json() == before
    assert (await imported(stage, FEED)).json()["rejected"] == []


async def test_of_a_half_written_feed_the_whole_rows_are_taken(stage: Stage) -> None:
    """A file that breaks off gives its good rows, and the line on which the broken one starts."""
    whole = (await imported(stage, SAMPLE)).json()
    assert whole["rejected"] == []
    cut = SAMPLE[:-60]
    broken = cut.count(b"\n") + 1
    half = (await imported(stage, cut)).json()
    assert [row["line"] for row in half["rejected"]] == [broken]
    assert half["rejected"][0]["reason"] == "has 5 cells, the header has 22"
    assert half["created"] == half["updated"] == 0
    assert half["unchanged"] == whole["created"] + whole["updated"] + whole["unchanged"] - 1


async def test_a_feed_that_breaks_off_inside_a_quote_ends_there(stage: Stage) -> None:
    """Text that was opened and never closed swallows no row before it."""
    start = SAMPLE.index(b"morning-teapot")
    cut = SAMPLE[: SAMPLE.index(b"with a sieve")]
    half = (await imported(stage, cut)).json()
    assert [row["line"] for row in half["rejected"]] == [SAMPLE[:start].count(b"\n") + 1]
    assert half["unchanged"] + half["created"] + half["updated"] == 2


async def test_a_bad_row_is_named_and_the_others_are_taken(stage: Stage) -> None:
    """Each bad row is told by its line; nothing of it reaches the catalog."""
    rows = FEED + b"vase,Vase,,,,VASE,twelve,1\nbowl,Bowl,,,,BOWL,3.999,1\n"
    answer = (await imported(stage, rows)).json()
    assert [row["line"] for row in answer["rejected"]] == [4, 5]
    assert "'twelve'" in answer["rejected"][0]["reason"]
    assert "3 decimals, EUR has 2" in answer["rejected"][1]["reason"]
    assert (await stage.host("GET", "/v1/catalog/products/VASE")).status_code == 404
    assert (await stage.host("GET", "/v1/catalog/products/MUG")).json()["unit_price"] == MUG_PRICE


@pytest.mark.parametrize(
    ("query", "sentence"),
    [
        ("", "currency"),
        ("?currency=Euro", "'Euro' is not a currency in use"),
        ("?currency=XXX", "'XXX' is not a currency in use"),
        ("?currency=EUR&format=xml", "'xml' is no feed format"),
    ],
)
async def test_an_import_names_its_currency_and_a_known_format(
    stage: Stage, query: str, sentence: str
) -> None:
    """Without them nothing is read."""
    answer = await imported(stage, FEED, query)
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid-message")
    assert sentence in answer.json()["detail"]


async def test_a_key_does_not_stand_for_another_query(stage: Stage) -> None:
    """The same file and key with another currency is another request, not a repeat of the first."""
    token, key = stage.server.token(Role.HOST, "host"), ids.secret(8)
    first = await stage.call("POST", "/v1/catalog/import?currency=EUR", token, key=key, content=FEED)
    assert first.status_code == 200
    again = await stage.call("POST", "/v1/catalog/import?currency=EUR", token, key=key, content=FEED)
    assert (again.content, again.headers["idempotent-replayed"]) == (first.content, "true")
    other = await stage.call("POST", "/v1/catalog/import?currency=USD", token, key=key, content=FEED)
    assert (other.status_code, other.json()["code"]) == (422, "idempotency-mismatch")
