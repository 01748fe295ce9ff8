"""The soak's own eyes: a process that grows is found, one that does not is not."""

from __future__ import annotations

from tests.chaos.soak.health import JUDGED_SECONDS, WARM_SECONDS, Health, Sample, grown

MIB = 2**20
LOOKS = 30


def life(first: int, last: int, files: tuple[int, int] = (20, 20)) -> list[Sample]:
    """Return looks at a process that changes evenly."""
    step = (WARM_SECONDS + JUDGED_SECONDS) / (LOOKS - 1)
    return [
        Sample(
            number * step + 1,
            first + (last - first) * number // (LOOKS - 1),
            files[0] + (files[1] - files[0]) * number // (LOOKS - 1),
        )
        for number in range(LOOKS)
    ]


def test_who_stays_as_they_are_is_let_be() -> None:
    """A little more, a little less, or half: no complaint."""
    for last in (100, 105, 95, 50):
        assert grown("gateway", life(100 * MIB, last * MIB)) == []


def test_who_grows_is_found() -> None:
    """More memory by a third, and more open files than come and go."""
    assert grown("gateway", life(100 * MIB, 140 * MIB)) != []
    assert grown("gateway", life(100 * MIB, 100 * MIB, (20, 80))) != []


def test_short_lives_and_beginnings_do_not_count() -> None:
    """Who was started a moment ago is still growing up."""
    health = Health()
    health.lives["gateway", 1] = life(100 * MIB, 200 * MIB)[: LOOKS // 2]
    assert health.complaints() == []
    health.lives["gateway", 1] = life(100 * MIB, 200 * MIB) + life(200 * MIB, 200 * MIB)[-1:]
    assert health.complaints() == []
    longer = [Sample(each.at * 2, each.rss, each.files) for each in life(100 * MIB, 200 * MIB)]
    health.lives["gateway", 1] = longer
    assert health.complaints() != []
