"""Stands in for Locust: `python stand_in.py FOLDER HOW` leaves behind what a crowd would, or ends as one may."""

from __future__ import annotations

import sys
import time
from pathlib import Path

from loadtests.seen import Account
from tests.loadtests import left


def main(folder: Path, how: str) -> None:
    """Be a crowd that is whole, mute (says why and ends), empty (begins and leaves nothing) or lasting."""
    if how == "mute":
        sys.exit("no such show")
    left.BEGAN = time.time()
    folder.joinpath("began").write_text(str(left.BEGAN))
    if how == "lasting":
        print("still at it", flush=True)  # noqa: T201  what a program says last
        time.sleep(60)
    if how == "whole":
        time.sleep(0.7)  # so long that somebody looks at it
        accounts = [Account(viewer="a", kind="buyer", takes=[left.take(1, 0.5, order="or_1")])]
        left.leave(folder, [left.seen(1), left.seen(2)], accounts)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
