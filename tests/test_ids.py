"""Ids lead to their show, and each thing has one."""

from __future__ import annotations

from typing import TYPE_CHECKING, get_args

import pytest

from server import ids

if TYPE_CHECKING:
    from server.ids import Kind

SHOW = ids.new_show()
MADE: dict[Kind, str] = {
    "dr": ids.new_drop(SHOW),
    "rs": ids.reservation(SHOW, "ann", "op"),
    "or": ids.order(SHOW, "ann", "op"),
}


def test_an_id_leads_to_its_show_as_what_it_is() -> None:
    """A drop's, a reservation's or an order's, and as nothing else: none has a second name."""
    assert set(MADE) == set(get_args(ids.Kind))
    for kind, identifier in MADE.items():
        for asked in MADE:
            assert ids.show_of(identifier, asked) == (SHOW if asked == kind else None)


@pytest.mark.parametrize(
    "wrong", ["", "rs", "rs_", "rs_a", "rs_a_", "rs__a", "rs_a_b_c", "rs_a_b ", "rs_ä_b", "RS_a_b"]
)
def test_what_is_no_id_leads_nowhere(wrong: str) -> None:
    """Parts that are missing, too many, or not letters and digits."""
    assert ids.show_of(wrong, "rs") is None


def test_what_is_made_here_is_an_id() -> None:
    """Every kind has the one shape, up to the greatest length."""
    made = [SHOW, *MADE.values(), ids.new_webhook(), ids.new_refund(MADE["or"]), "x" * ids.MAX_LENGTH]
    assert [each for each in made if not ids.is_id(each)] == []


@pytest.mark.parametrize(
    "wrong", ["", "rs_\0_x", "sh_a\n", "sh_a ", "sh_ä", "sh_a}", "*", "x" * (ids.MAX_LENGTH + 1)]
)
def test_what_cannot_be_an_id(wrong: str) -> None:
    """Other characters than letters, digits and underscores, none at all, or too many."""
    assert not ids.is_id(wrong)
