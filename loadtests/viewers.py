"""The Locust file: a plan's viewers and its one host on a live show.

`livedrop load` runs it. By hand, with Locust's own web page, on a server that runs already:

    export LOADTEST_HOST_TOKEN=$(livedrop token --role host --sub me --show '*')
    locust -f loadtests/viewers.py --host http://127.0.0.1:8000 --shape flash --viewers 200

makes a show of its own and ends it with Locust. `--show` names one that is live already, `--plan` a file in place of a
shape; several processes of Locust need both. One start of Locust is one run: its begin and its viewers' numbers are
given once.

Every process of Locust has one thread with an event loop of its own, in which its people live; what they do stands
in `loadtests/audience`, how they are in `loadtests/habits.py`. In here is only what Locust needs to know of them.
"""

from __future__ import annotations

import itertools
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import gevent  # type: ignore[import-untyped]  # ships no types
import httpx
import msgspec
from gevent.event import AsyncResult  # type: ignore[import-untyped]
from gevent.monkey import get_original  # type: ignore[import-untyped]
from locust import User, events, task
from locust.runners import MasterRunner

from loadtests.audience.intents import BOT, BUYER, HOARDER, LURKER
from loadtests.audience.roll import Roll, users
from loadtests.audience.table import tell
from loadtests.audience.thread import CrowdThread
from loadtests.habits import STOP_SECONDS
from loadtests.plan import Plan
from loadtests.shapes import SHAPES, ShapeError, shape
from loadtests.stagehand import StageError, door, live_show

if TYPE_CHECKING:
    from locust.argument_parser import LocustArgumentParser
    from locust.env import Environment

POLL_SECONDS = 0.25  # between two looks at what the crowd has measured
IDLE_SECONDS = 60.0  # that a user of Locust sleeps at a time
CLAIM_SECONDS = 30.0
CLOSE_SECONDS = 10.0
OUT = Path("results") / "locust"
UNIT_FOR = 10  # viewers, where nobody says how many units a drop has
SEED = 1
CLAIM, GRANT, DONE = (
    "livedrop-claim",
    "livedrop-grant",
    "livedrop-done",
)  # messages between Locust's processes

hooks: Any = events  # Locust's hooks carry no types
claims = itertools.count()
granted: dict[int, Any] = {}  # by claim: where its answer goes


class Person(User):
    """Whoever is carried by one user of Locust; each begins with a claim to numbers of the plan."""

    abstract = True
    kind = ""  # of the viewers; none: as the plan's mix has it

    def on_start(self) -> None:
        """Let the viewers live whose numbers we are given."""
        carrier(self.environment).enlist(claim(self.environment, self.kind), self.kind)

    @task
    def live(self) -> None:
        """Do nothing here: they live in the crowd's thread."""
        gevent.sleep(IDLE_SECONDS)


class Viewer(Person):
    """One who buys: watches, takes, pays, gives back or lets lapse, reconnects."""

    kind = BUYER


class Hoarder(Person):
    """One who takes the limit and lets it lapse, again and again."""

    kind = HOARDER


class Bot(Person):
    """One who floods, and asks for what nobody gets."""

    kind = BOT


class Lurker(Person):
    """One who only watches."""

    kind = LURKER


class Audience(Person):
    """Hundreds to thousands of viewers of all kinds, as the plan mixes them."""


class Host(Person):
    """The one host, who opens and closes what the plan sells."""

    fixed_count = 1

    def on_start(self) -> None:
        """Come to the stage."""
        carrier(self.environment).host()


CLASSES = {"audience": Audience, BUYER: Viewer, HOARDER: Hoarder, BOT: Bot, LURKER: Lurker}


def carrier(environment: Any) -> CrowdThread:
    """Return this process's crowd."""
    crowd: CrowdThread = environment.livedrop_crowd
    return crowd


def claim(environment: Environment, kind: str) -> range:
    """Ask whoever leads the run for the next numbers, and return them."""
    number = next(claims)
    granted[number] = AsyncResult()
    runner: Any = environment.runner
    runner.send_message(CLAIM, {"claim": number, "kind": kind})
    first, end = granted[number].get(timeout=CLAIM_SECONDS)
    del granted[number]
    return range(first, end)


def add_options(parser: LocustArgumentParser) -> None:
    """Add what a run of this file needs to know."""
    parser.add_argument("--show", default="", help="id of the live show; none: a show of its own")
    parser.add_argument("--plan", default="", help="file with the plan of the run (loadtests/plan.py), JSON")
    parser.add_argument(
        "--shape", default="steady", choices=list(SHAPES), help="of the run where no plan is given"
    )
    parser.add_argument("--viewers", type=int, default=100, help="of a shape")
    parser.add_argument(
        "--units", type=int, default=0, help="in each drop of a shape; 0: one for ten viewers"
    )
    parser.add_argument("--out", default=str(OUT), help="folder for what the run leaves behind")
    parser.add_argument(
        "--host-token",
        env_var="LOADTEST_HOST_TOKEN",
        is_secret=True,
        required=True,
        help="token of the show's host; better given in the environment",
    )


def asked(options: Any) -> Plan:
    """Return the plan that the command line asks for. Raises OSError, msgspec.MsgspecError, ShapeError."""
    if options.plan:
        return msgspec.json.decode(Path(options.plan).read_bytes(), type=Plan)
    units = options.units or max(1, options.viewers // UNIT_FOR)
    return shape(options.shape, options.viewers, units, None, SEED)


def show_of_its_own(options: Any) -> str:
    """Return a new live show, which is ended with Locust. Raises StageError."""
    if not options.host:
        raise StageError("On which server? --host http://127.0.0.1:8000")
    if options.worker or options.master or options.processes:
        raise StageError(
            "Several processes of Locust play one plan in one show: --show and --plan name them."
        )
    host = door(options.host, options.host_token)
    show = live_show(host)

    def end(**_: Any) -> None:
        with suppress(httpx.HTTPError):
            host.post(f"/v1/shows/{show}/end")
        host.close()

    hooks.quitting.add_listener(end)
    return show


def begin(environment: Environment, runner: Any, **_: Any) -> None:
    """Fit Locust to the plan: how many users of which kind, when to end, who answers claims."""
    options: Any = environment.parsed_options
    try:
        plan = asked(options)
        options.show = options.show or show_of_its_own(options)
    except (OSError, msgspec.MsgspecError, ShapeError, StageError) as error:
        sys.exit(f"The load test cannot begin: {error}")
    counts = users(plan)
    for kind, count in counts.items():
        CLASSES[kind].fixed_count = count
    environment.user_classes = [
        user for user in environment.user_classes if user is Host or user.fixed_count > 0
    ]
    options.num_users = options.spawn_rate = total = counts.total() + 1
    if not options.worker:
        start = runner.start  # how many there are is the plan's matter, whatever is typed into the page
        runner.start = lambda _users, _rate, *more, **named: start(total, total, *more, **named)
        options.run_time = options.run_time or plan.seconds + STOP_SECONDS + CLOSE_SECONDS
        lead(runner, Roll(plan), quits=options.headless)
    if not isinstance(runner, MasterRunner):
        runner.register_message(GRANT, lambda msg, **_: granted[msg.data["claim"]].set(msg.data["numbers"]))
        hooks.test_start.add_listener(lambda **_: carry(environment, plan))
        hooks.test_stop.add_listener(lambda **_: finish(environment))


def lead(runner: Any, roll: Roll, *, quits: bool) -> None:
    """Answer the claims of all processes, and end the run when all of them are done; the web page stays."""
    done: set[str] = set()

    def grant(msg: Any, **_: Any) -> None:
        kind = msg.data["kind"]
        numbers = roll.of_kind(kind) if kind else roll.block()
        answer = {"claim": msg.data["claim"], "numbers": (numbers.start, numbers.stop)}
        runner.send_message(GRANT, answer, client_id=msg.node_id)

    def note(msg: Any, **_: Any) -> None:
        done.add(msg.node_id)
        if not isinstance(runner, MasterRunner) or done >= {client.id for client in runner.clients.all}:
            gevent.spawn(runner.quit if quits else runner.stop)

    runner.register_message(CLAIM, grant)
    runner.register_message(DONE, note)


def carry(environment: Any, plan: Plan) -> None:
    """Start the crowd of this process, and a greenlet that carries what it measures into Locust's table."""
    options = environment.parsed_options
    folder = Path(options.out)
    folder.mkdir(parents=True, exist_ok=True)
    crowd = CrowdThread(environment.host, options.show, plan, options.host_token, folder)
    environment.livedrop_crowd = crowd
    crowd.start(get_original("_thread", "start_new_thread"))
    gevent.spawn(watch, environment, crowd)


def watch(environment: Any, crowd: CrowdThread) -> None:
    """Carry measures over until everybody is done, then say so."""
    while not crowd.idle:
        gevent.sleep(POLL_SECONDS)
        for news in crowd.news():
            tell(environment.stats, news)
    finish(environment)
    environment.runner.send_message(DONE, {})


def finish(environment: Any) -> None:
    """End the crowd, and return when its files are written."""
    crowd = carrier(environment)
    crowd.finish()
    waited = 0.0
    while not crowd.ended and waited < CLOSE_SECONDS:
        gevent.sleep(POLL_SECONDS / 10)
        waited += POLL_SECONDS / 10
    for news in crowd.news():
        tell(environment.stats, news)
    if crowd.error:
        environment.runner.log_exception("local", "The crowd's loop has ended", crowd.error)


hooks.init_command_line_parser.add_listener(add_options)
hooks.init.add_listener(begin)
