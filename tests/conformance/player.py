"""Play cases with kosoku and print the verdicts as JSON: `python -m tests.conformance.player ADDRESS NUMBER CASE…`."""

from __future__ import annotations

import asyncio
import json
import os
import sys

from kosoku import FailureError, run_fuzzingclient


async def verdicts(address: str, at_once: int, cases: list[str]) -> list[list[str | int]]:
    """Return case, behavior, close behavior, milliseconds and reason of each case."""
    try:
        results = await run_fuzzingclient(address, cases, concurrency=at_once)
    except FailureError as failure:
        results = failure.results
    return [
        [
            result.case_id,
            result.behavior.value,
            result.behavior_close.value,
            result.duration,
            f"{result.result} {result.result_close}",
        ]
        for result in results
    ]


if __name__ == "__main__":
    sys.stdout.write(json.dumps(asyncio.run(verdicts(sys.argv[1], int(sys.argv[2]), sys.argv[3:]))))
    sys.stdout.flush()
    os._exit(0)  # kosoku 0.1 now and then aborts when the interpreter is torn down; everything is said
