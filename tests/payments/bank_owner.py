"""Who owns or shares a folder's private sandbox, as a process: `python -m tests.payments.bank_owner FOLDER`.

Prints one line of JSON about it, and lets go of it when its input ends.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import ClassVar

from server.payments.bank.private import PrivateSandbox
from tests import owners
from tests.server import SECRET


class Owner(owners.Owner):
    """Such a process, seen from a test."""

    MODULE: ClassVar = "tests.payments.bank_owner"


def _main(folder: Path) -> None:
    one = PrivateSandbox.begin(folder, SECRET)
    owners.tell_and_stay(one.url, owned=one.owned, pid=one.pid)
    one.leave()


if __name__ == "__main__":
    _main(Path(sys.argv[1]))
