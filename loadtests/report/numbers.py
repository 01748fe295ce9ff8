"""Numbers as people read them: as many digits as count."""

from __future__ import annotations

import math

THOUSAND, MILLION = 1e3, 1e6
ONE, TEN, HUNDRED = 1, 10, 100
COMPACT = 10_000  # from here on a tick is told in thousands


def short(value: float) -> str:
    """Return a number with two or three digits that count; whole numbers are whole."""
    if not math.isfinite(value):
        return "?"
    size = abs(value)
    if size >= HUNDRED or value == int(value):
        return f"{value:,.0f}"
    if size >= TEN:
        return f"{value:,.1f}"
    return f"{value:.2f}" if size >= ONE else f"{value:.2g}"


def tick(value: float) -> str:
    """Return a number as narrow as beside an axis."""
    if abs(value) >= MILLION:
        return f"{value / MILLION:g}M"
    if abs(value) >= COMPACT:
        return f"{value / THOUSAND:g}k"
    return f"{value:,.10g}"


def change(share: float | None) -> str:
    """Return a difference in percent with its sign; a dash where it is none of anything."""
    if share is None:
        return "\N{EN DASH}"
    percent = 100 * share
    digits = 0 if abs(percent) >= TEN else 1
    told = f"{percent:+,.{digits}f} %"
    return told.replace("-", "\N{MINUS SIGN}") if told.strip("+-0. %") else "0 %"
