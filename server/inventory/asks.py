"""What somebody asks of a show's inventory: one operation, which waits in the show's line for the next step."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from server import ids

if TYPE_CHECKING:
    from collections.abc import Callable

    from server.inventory.outcomes import Outcome

    Done = Callable[[Outcome], None]

Verb = Literal["reserve", "part", "claim", "release", "join", "leave"]
Item = tuple[str, str, int]  # reservation's own part, drop, units

MAX_ITEMS = 10  # drops in one bundle


class Ask:
    """One operation of one viewer; `items` has several only in a bundle, which is taken all or nothing.

    An `exact` one wants to know what is true now, not what this process has seen within the last moment. One that came
    `apart` from the viewer's sockets has these told of the place that it brings, wherever they are. `done` is called
    once, with the outcome, or never where its asker is `gone` by then; who is gone before the step asks for nothing.
    `span` is what it belongs to where it is followed.
    """

    __slots__ = (
        "address",
        "apart",
        "bundle",
        "done",
        "exact",
        "gone",
        "items",
        "show",
        "since",
        "span",
        "verb",
        "viewer",
    )

    def __init__(  # noqa: PLR0913  an operation is its fields
        self,
        show: str,
        verb: Verb,
        viewer: str,
        items: list[Item],
        address: str = "",
        *,
        bundle: bool = False,
        exact: bool = False,
    ) -> None:
        self.show = show
        self.verb = verb
        self.viewer = viewer
        self.items = items
        self.address = address
        self.bundle = bundle
        self.exact = exact
        self.apart = False
        self.since = 0.0
        self.span: Any = None
        self.done: Done | None = None
        self.gone: Callable[[], bool] | None = None


def reserve(  # noqa: PLR0913  an operation is its fields
    show: str,
    viewer: str,
    operation: str,
    drop: str,
    quantity: int,
    *,
    part: bool = False,
    exact: bool = False,
    address: str = "",
) -> Ask:
    """Take units of a drop and hold them; in part: what is left, with a place in the queue for the rest."""
    own = ids.own_part(show, viewer, operation)
    verb: Verb = "part" if part else "reserve"
    return Ask(show, verb, viewer, [(own, drop, quantity)], address, exact=exact)


def bundle(  # noqa: PLR0913  an operation is its fields
    show: str,
    viewer: str,
    operation: str,
    items: list[tuple[str, int]],
    *,
    claim: bool = False,
    address: str = "",
) -> Ask:
    """Take units of several drops, all or nothing; as a claim: of drops that hold nothing, for a payment's time."""
    wanted = [
        (ids.own_part(show, viewer, f"{drop}\0{operation}", "bundle"), drop, units) for drop, units in items
    ]
    return Ask(show, "claim" if claim else "reserve", viewer, wanted, address, bundle=True)


def release(show: str, viewer: str, reservation: str) -> Ask:
    """Give a held reservation back."""
    return Ask(show, "release", viewer, [(ids.own(reservation), "", 0)])


def join(  # noqa: PLR0913  an operation is its fields
    show: str, viewer: str, operation: str, drop: str, quantity: int, *, address: str = ""
) -> Ask:
    """Queue for units of a drop, or enter its draw. The id of the reservation to be is that of drop and operation."""
    own = ids.own_part(show, viewer, f"{drop}\0{operation}", "waitlist")
    return Ask(show, "join", viewer, [(own, drop, quantity)], address)


def leave(show: str, viewer: str, drop: str) -> Ask:
    """Give up the place in a drop's queue, or the entry into its draw."""
    return Ask(show, "leave", viewer, [("", drop, 0)])
