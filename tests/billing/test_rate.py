"""The pace of calls (GCRA): never more than the burst and what the rate adds, whenever they come."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tollkeeper.billing.limit import Rate
from tollkeeper.billing.rate import Pace, pace_of

SECOND = 1_000_000
START = 1_800_000_000 * SECOND


@pytest.mark.parametrize(
    ("rate", "pace"),
    [
        (Rate(rate=10), Pace(100_000, 10)),
        (Rate(rate=10, burst=3), Pace(100_000, 3)),
        (Rate(rate=60, per="minute"), Pace(SECOND, 60)),
        (Rate(rate=7), Pace(142_858, 7)),  # rounded up: never faster
        (Rate(rate=100_000), Pace(10, 100_000)),
        (Rate(rate=0, burst=5), Pace(SECOND, 0)),
        (Rate(rate=0, per="minute"), Pace(60 * SECOND, 0)),
    ],
)
def test_a_rate_is_a_pace(rate: Rate, pace: Pace) -> None:
    assert pace_of(rate) == pace


def test_a_burst_comes_at_once_and_then_one_unit_an_interval() -> None:
    pace = Pace(SECOND // 10, 3)
    arrival = pace.after(0, START, 3 * SECOND)

    assert pace.room(0, START) == 3
    assert pace.room(arrival, START) == 0
    assert pace.wait(arrival, START, SECOND) == SECOND // 10
    assert pace.room(arrival, START + SECOND // 10 - 1) == 0
    assert pace.room(arrival, START + SECOND // 10) == 1
    assert pace.wait(arrival, START + SECOND // 10, SECOND) == 0
    assert pace.room(arrival, START + SECOND) == 3


def test_parts_of_a_unit_take_parts_of_an_interval_rounded_up() -> None:
    pace = Pace(142_858, 7)

    assert pace.after(START, START, 1) == START + 1
    assert pace.after(START, START, SECOND // 2) == START + 71_429
    assert pace.after(START + 5, START, 2 * SECOND) == START + 5 + 285_716


def test_nothing_comes_at_a_rate_of_0() -> None:
    pace = pace_of(Rate(rate=0))

    assert pace.room(0, START) == 0
    assert pace.wait(0, START, 1) > 0


def test_what_may_come_later_leaves_room_for_what_comes_then() -> None:
    pace = Pace(100_000, 10)
    slack = 500_000

    assert pace.room(0, START, slack=slack) == 5
    arrival = pace.after(0, START, 5 * SECOND, slack=slack)
    later = START + slack
    # All five may come only now: beside them there is room for the rest of the burst, and no more.
    assert pace.room(arrival, later) == 5


takes = st.tuples(
    st.integers(0, 400_000),  # µs since the take before
    st.integers(1, 8),  # units wanted
    st.sampled_from([0, 0, 100_000, 300_000]),  # slack
    st.floats(0, 1),  # when within the slack they are used
)


@given(st.integers(1, 60), st.integers(1, 20), st.lists(takes, min_size=1, max_size=40))
def test_no_span_of_time_has_more_than_the_burst_and_what_the_rate_adds(
    figure: int, burst: int, wanted: list[tuple[int, int, int, float]]
) -> None:
    pace = pace_of(Rate(rate=figure, burst=burst))
    now, arrival = START, 0
    used: list[tuple[int, int]] = []
    for passed, units, slack, share in wanted:
        now += passed
        taken = min(units, pace.room(arrival, now, slack=slack))
        if taken:
            arrival = pace.after(arrival, now, taken * SECOND, slack=slack)
            used.append((now + int(slack * share), taken))
    used.sort()
    for at, (start, _) in enumerate(used):
        count = 0
        for end, units in used[at:]:
            count += units
            assert count * SECOND <= burst * SECOND + (end - start) * figure


@given(st.integers(1, 100_000), st.integers(1, 1000), st.integers(0, 3 * SECOND), st.integers(1, 1000))
def test_to_wait_as_long_as_told_is_enough_and_not_too_long(figure: int, burst: int, ahead: int, units: int) -> None:
    pace = pace_of(Rate(rate=figure, burst=burst))
    arrival = START + min(ahead, pace.interval * burst)
    units = min(units, burst)
    wait = pace.wait(arrival, START, units * SECOND)

    assert pace.room(arrival, START + wait) >= units
    if wait:
        assert pace.room(arrival, START + wait - 1) < units
