"""A plan and a machine in plain words."""

from __future__ import annotations

from typing import TYPE_CHECKING

from loadtests.report.numbers import short

if TYPE_CHECKING:
    from loadtests.plan import Plan, Sale
    from loadtests.run import Run

GIB = 1 << 30
SALES = 12  # told one by one; of more the rest is counted
THOUSAND = 1000


def plan_facts(plan: Plan) -> list[tuple[str, str]]:
    """Return what was asked for, name by name; what was not asked for is left out."""
    mix = plan.mix
    kinds = {
        "buy": mix.buyers,
        "take and let lapse": mix.hoarders,
        "flood": mix.bots,
        "only watch": THOUSAND - mix.buyers - mix.hoarders - mix.bots,
    }
    shares = ", ".join(f"{share / 10:g} % {kind}" for kind, share in kinds.items() if share)
    return [
        ("shape", plan.shape),
        ("viewers", f"{plan.viewers:,}, arriving over {short(plan.arrival_seconds)} s; {shares}"),
        ("seconds", short(plan.seconds)),
        *(("sale", _sale(sale)) for sale in plan.sales[:SALES]),
        *([("sale", f"{len(plan.sales) - SALES} more")] if len(plan.sales) > SALES else []),
        *(
            (
                "cut",
                f"at {short(cut.at)} s {cut.share:.0%} of the viewers, back within {short(cut.back_seconds)} s",
            )
            for cut in plan.cuts
        ),
        *(("deploy", f"from {short(at)} s on each server process is replaced") for at in plan.deploys),
        *([("slow readers", f"{plan.slow:.0%}")] if plan.slow else []),
        *([("recording", f"{plan.recording}, at {plan.speed:g} times its speed")] if plan.recording else []),
        ("seed", f"{plan.seed}"),
    ]


def machine_facts(run: Run) -> list[tuple[str, str]]:
    """Return where and when it ran, name by name."""
    machine = run.machine
    return [
        ("began", run.began_at),
        ("server", run.server),
        ("processor", f"{machine.cpu}, {machine.cores} cores"),
        ("memory", f"{machine.memory / GIB:.1f} GiB"),
        ("system", machine.system),
        ("Python", machine.python),
        ("load before", f"{machine.load_before:.1f}"),
    ]


def _sale(sale: Sale) -> str:
    more = f", {sale.restock:,} more in its middle" if sale.restock else ""
    return (
        f"{sale.quantity:,} units at {short(sale.at)} s for {short(sale.seconds)} s{more}; "
        f"{sale.wanting:.0%} of the buyers tap within {sale.spread_ms:,} ms; "
        f"{sale.limit_per_viewer} each at most, held for {sale.hold_seconds} s"
    )
