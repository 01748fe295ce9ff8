"""What can be made to go wrong on purpose, for every payment: for tests of crashes, and for measuring."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, Struct, field

Call = Literal["authorize", "find", "list", "capture", "void", "refund"]
Milliseconds = Annotated[int, Meta(ge=0, le=60_000)]
Count = Annotated[int, Meta(ge=0, le=1_000_000)]


class Knobs(Struct, kw_only=True, forbid_unknown_fields=True):
    """All at rest unless turned; a bank that starts anew has them at rest again."""

    delay_ms: Milliseconds = 0  # every answer waits that long, after the work is done
    decline: Annotated[str, Meta(max_length=200)] = ""  # new authorizations are declined with this sentence
    refuse: dict[Call, Count] = field(
        default_factory=dict
    )  # so many calls are refused for good: nothing is done
    fail: dict[Call, Count] = field(default_factory=dict)  # so many calls end with a 500: nothing is done
    lose: dict[Call, Count] = field(default_factory=dict)  # so many calls are done, and their answers lost
    silent_ms: Milliseconds = 0  # a lost answer's connection is cut after that long

    def takes(self, kind: Literal["refuse", "fail", "lose"], call: Call) -> bool:
        """Whether this call is one of those that are refused, fail, or have their answer lost; counts it."""
        left: dict[Call, int] = getattr(self, kind)
        if not left.get(call):
            return False
        left[call] -= 1
        return True
