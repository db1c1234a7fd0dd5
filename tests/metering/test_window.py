from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from tollkeeper.metering.window import DAY, HOUR, QUARTER, cover

GRAINS = (QUARTER, HOUR, DAY)
times = st.integers(0, 40 * DAY)


@given(times, times, st.sampled_from([None, QUARTER, HOUR, 2 * HOUR, DAY, 7 * DAY]))
def test_a_cover_is_the_range_without_gap_or_overlap(one: int, two: int, step: int | None) -> None:
    start, end = min(one, two), max(one, two)
    plan = cover(start, end, step, GRAINS)
    spans = sorted([(first, last) for _, first, last in plan.rolled] + list(plan.raw))

    assert sum(last - first for first, last in spans) == end - start
    assert all(before[1] == after[0] for before, after in pairwise(spans))
    assert all(first < last for first, last in spans)
    assert all(first % grain == last % grain == 0 for grain, first, last in plan.rolled)
    assert all(step is None or step % grain == 0 for grain, _, _ in plan.rolled)
    assert sum(last - first for first, last in plan.raw) < 2 * QUARTER
    if plan.rolled_span:
        first, last = plan.rolled_span
        assert last - first == sum(until - since for _, since, until in plan.rolled)


def test_whole_days_need_one_span() -> None:
    assert cover(DAY, 9 * DAY, DAY, GRAINS).rolled == ((DAY, DAY, 9 * DAY),)
    assert cover(DAY, DAY, None, GRAINS).rolled_span is None
