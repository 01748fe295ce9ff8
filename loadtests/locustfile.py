"""The Locust file: viewers and one host on a live show.

`make load` runs it with a server of its own. By hand, with Locust's web page, on a show that is live already:

    export LOADTEST_HOST_TOKEN=$(livedrop token --role host --sub me)
    locust -f loadtests/locustfile.py --host http://127.0.0.1:8000 --show sh_…
"""

from __future__ import annotations

import itertools
import secrets
from pathlib import Path
from typing import TYPE_CHECKING, Any

import gevent  # type: ignore[import-untyped]  # ships no types; one call
import msgspec
from locust import FastHttpUser, between, constant, events, task

from loadtests import habits
from loadtests.doors import Doors, Tally
from loadtests.hosting import Stagemaster
from loadtests.journeys import Shopper
from loadtests.results import Failure, Results
from server.protocol.codec import Codec

if TYPE_CHECKING:
    from locust.argument_parser import LocustArgumentParser
    from locust.env import Environment

PROGRESS_SECONDS = 5.0
TOKEN_SECONDS = 3600
CODECS = (Codec.MSGPACK, Codec.JSON)

hooks: Any = events  # Locust's hooks carry no types
tally = Tally()
numbers = itertools.count(1)
run = secrets.token_hex(3)  # viewers of another run on the same show are other people


class Person(FastHttpUser):
    """Somebody with a way in through both doors."""

    abstract = True

    def __init__(self, environment: Environment) -> None:
        super().__init__(environment)
        options: Any = environment.parsed_options
        self.show: str = options.show
        self.drop_quantity: int = options.drop_quantity
        self.doors = Doors(
            self.host or "", self.client, environment.events.request.fire, tally, options.host_token
        )


class Host(Person):
    """The one host, who sells drop after drop."""

    fixed_count = 1
    wait_time = constant(1)

    def on_start(self) -> None:
        """Come to the stage."""
        self.stagemaster = Stagemaster(self.doors, self.show, self.drop_quantity)

    @task
    def sell(self) -> None:
        """Sell one drop."""
        self.stagemaster.sell()


class Viewer(Person):
    """A viewer with a token of their own; every second one speaks JSON."""

    wait_time = between(*habits.BREATH)

    def on_start(self) -> None:
        """Get a token from the host, and join."""
        number = next(numbers)
        name = f"load-{run}-{number}"
        body = {"sub": name, "role": "viewer", "shows": [self.show], "ttl_seconds": TOKEN_SECONDS}
        minted = self.doors.call("POST", "/v1/tokens", "/v1/tokens", body=body)
        self.doors.token = minted["token"] if minted else ""
        self.shopper = Shopper(self.doors, self.show, name, CODECS[number % len(CODECS)])
        self.shopper.connect()

    def on_stop(self) -> None:
        """Leave."""
        self.shopper.leave()

    @task(habits.SHOPS)
    def shop(self) -> None:
        """Wait for a drop and take what there is."""
        self.shopper.shop()

    @task(habits.COMES_BACK)
    def come_back(self) -> None:
        """Leave and return."""
        self.shopper.come_back()

    @task(habits.CHEERS)
    def cheer(self) -> None:
        """React."""
        self.shopper.cheer()


def add_options(parser: LocustArgumentParser) -> None:
    """Add what a run of this file needs to know."""
    parser.add_argument("--show", required=True, help="id of the live show")
    parser.add_argument(
        "--host-token",
        env_var="LOADTEST_HOST_TOKEN",
        is_secret=True,
        required=True,
        help="token of the show's host; better given in the environment",
    )
    parser.add_argument("--drop-quantity", type=int, default=40, help="units of each drop")
    parser.add_argument("--results", default="", help="file for what the run saw, as JSON")


def begin(environment: Environment, **_: Any) -> None:
    """Print progress while people are on the move, and write the results when all is over."""
    hooks.test_start.add_listener(lambda **_: gevent.spawn(_progress, environment))
    path: str = getattr(environment.parsed_options, "results", "")
    if path:
        hooks.quit.add_listener(
            lambda **_: Path(path).write_bytes(msgspec.json.encode(_results(environment)))
        )


def _progress(environment: Environment) -> None:
    runner = environment.runner
    while runner is not None and runner.state not in {"stopping", "stopped"}:
        gevent.sleep(PROGRESS_SECONDS)
        total = environment.stats.total
        line = (
            f"{runner.user_count:,} people, {tally.reservations:,} reservations, {len(tally.orders):,} orders, "
            f"{tally.messages:,} messages checked, {total.num_requests:,} requests, {total.num_failures:,} failed"
        )
        print(line, flush=True)  # noqa: T201  progress of a command


def _results(environment: Environment) -> Results:
    stats, runner = environment.stats, environment.runner
    failed = [
        Failure(error.method, error.name, str(error.error), error.occurrences)
        for error in stats.errors.values()
    ]
    raised = [
        Failure("task", "raised", f"{row['msg']}\n{row['traceback']}", row["count"])
        for row in (runner.exceptions.values() if runner is not None else ())
    ]
    return Results(
        requests=stats.total.num_requests,
        counts={f"{method} {name}": entry.num_requests for (name, method), entry in stats.entries.items()},
        failures=failed + raised,
        orders=tally.orders,
        reservations=tally.reservations,
        messages=tally.messages,
    )


hooks.init_command_line_parser.add_listener(add_options)
hooks.init.add_listener(begin)
