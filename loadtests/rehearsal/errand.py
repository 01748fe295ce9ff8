"""A whole rehearsal: look at the show, play its copy before an audience, end the copy, look at the show again."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

from loadtests import merge
from loadtests.rehearsal.copying import Original, copied, read, require_resting
from loadtests.rehearsal.facts import Rehearsed, rehearsed
from loadtests.rehearsal.planning import holds, planned
from loadtests.run import Run
from loadtests.stagehand import allow_files, door

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import httpx

    from loadtests.capacity.measuring import Perform
    from loadtests.rehearsal.planning import Crowd
    from loadtests.stagehand import Stage

SANDBOX, CARD = "sandbox", "card"


class Outcome(Struct, frozen=True):
    """What a rehearsal brought: the show as it was before and after, the copy's id, the run and its facts."""

    before: Original
    after: Original
    copy: str
    run: Run
    facts: Rehearsed

    @property
    def untouched(self) -> bool:
        """Whether the real show's drops have the numbers, states and revisions that they had."""
        return self.before.standing == self.after.standing


def rehearse(  # noqa: PLR0913, PLR0917  what a rehearsal is made of
    stage: Stage, show: str, crowd: Crowd, folder: Path, say: Callable[[str], None], perform: Perform
) -> Outcome:
    """Rehearse a show. Raises RehearsalError, and StageError where the run could not be carried out.

    Whatever happens, Ctrl-C as well, the copy is ended before this returns.
    """
    allow_files(crowd.viewers)
    with door(stage.url, stage.host_token) as host:
        before = read(host, show)
        require_resting(before)
        pays = plays(host, before.show["currency"])
        held = holds(before, crowd, pays=pays)
        try:
            with copied(host, before, held) as (copy, drops):
                plan = planned(before, drops, held, crowd, pays=pays)
                say(
                    f"{crowd.viewers:,} viewers rehearse {before.show['title']!r} in a copy, {copy}: {len(drops)} "
                    f"drop{'s' if len(drops) != 1 else ''} in {plan.seconds:.0f} s."
                )
                run = perform(stage, copy, plan, folder, say)
                played = read(host, copy).drops
        except (KeyboardInterrupt, SystemExit):
            say("The rehearsal was stopped, and the copy has ended.")
            raise
        after = read(host, show)
    opened = {drop["id"]: drop["opened_at"] / 1000 for drop in played if "opened_at" in drop}
    facts = rehearsed(run, merge.accounts_in(folder), before.rehearsed, opened)
    return Outcome(before, after, copy, run, facts)


def plays(host: httpx.Client, currency: str) -> bool:
    """Whether a card is paid in the sandbox on this server: money that is real is not touched."""
    answer = host.get("/v1/payments/methods", params={"currency": currency}).raise_for_status()
    return any(each["method"] == CARD and each["provider"] == SANDBOX for each in answer.json()["items"])
