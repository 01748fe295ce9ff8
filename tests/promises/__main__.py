"""Write docs/faults.md anew, with what is known of the last run: `python -m tests.promises`."""

from __future__ import annotations

from tests.promises.page import PAGE, outcomes, written

if __name__ == "__main__":
    known = outcomes(PAGE.read_text(encoding="utf-8")) if PAGE.exists() else {}
    PAGE.write_text(written(known), encoding="utf-8")
