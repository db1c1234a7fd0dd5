"""Whether there is room for a call, and where its limits stand."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from tollkeeper.billing.admission import MOST, Refusal, caught_up, count, find_refusal, moved
from tollkeeper.billing.bounds import Bounds, PacedRate, Quota, limit_states, shared_room
from tollkeeper.billing.counter import Counter
from tollkeeper.billing.rate import Pace
from tollkeeper.events.lease import LimitState

UNIT = 1_000_000
SECOND = 1_000_000
NOW = 1_000 * SECOND
DAY = 86_400 * SECOND


def counter(name: str, **figures: int) -> Counter:
    return Counter(id=name, subscription="sub_1", **figures)


def quota(name: str, units: int, *, hard: bool = True) -> Quota:
    return Quota(name=name, units=units * UNIT, hard=hard, fresh=counter(name, starts_at=NOW - DAY, ends_at=NOW + DAY))


def rate(name: str, interval: int, burst: int) -> PacedRate:
    return PacedRate(name=name, pace=Pace(interval, burst), fresh=counter(name))


def used(bound: Quota, **units: int) -> dict[str, Counter]:
    return {bound.name: replace(bound.fresh, **{name: value * UNIT for name, value in units.items()})}


def test_without_bounds_everything_is_welcome() -> None:
    assert find_refusal(Bounds(), {}, 5 * UNIT, NOW) is None
    assert count(Bounds(), {}, 5 * UNIT, NOW, held=False) == []
    assert shared_room(Bounds(), {}) is None
    assert limit_states(Bounds(), {}, NOW) == []


@pytest.mark.parametrize(
    ("figures", "units", "expected"),
    [
        ({}, 10, None),
        ({"used": 9}, 1, None),
        ({"used": 9, "carried": 2}, 3, None),
        ({"used": 8, "held": 1}, 1, None),
        ({"used": 10}, 1, Refusal("day", paced=False, wait=DAY)),
        ({"used": 8, "held": 1}, 2, Refusal("day", paced=False, wait=DAY, held=True)),
        ({"used": 9, "held": 1}, 2, Refusal("day", paced=False, wait=DAY)),
        ({"used": 12}, 1, Refusal("day", paced=False, wait=DAY)),
        ({}, 11, Refusal("day", paced=False, wait=None)),
    ],
)
def test_a_quota_has_room_for_what_is_neither_used_nor_held(
    figures: dict[str, int], units: int, expected: Refusal | None
) -> None:
    bound = quota("day", 10)
    assert find_refusal(Bounds(quotas=[bound]), used(bound, **figures), units * UNIT, NOW) == expected


def test_a_part_of_a_unit_is_counted_exactly() -> None:
    bound = quota("day", 1)
    counters = {"day": replace(bound.fresh, used=UNIT - 1)}
    assert find_refusal(Bounds(quotas=[bound]), counters, 1, NOW) is None
    assert find_refusal(Bounds(quotas=[bound]), counters, 2, NOW) is not None


def test_a_soft_quota_refuses_nothing_and_counts_all() -> None:
    bounds = Bounds(quotas=[quota("soft", 1, hard=False)])
    assert find_refusal(bounds, {}, 5 * UNIT, NOW) is None
    assert [one.used for one in count(bounds, {}, 5 * UNIT, NOW, held=False)] == [5 * UNIT]
    assert shared_room(bounds, {}) is None
    assert limit_states(bounds, {}, NOW) == []


def test_a_rate_lets_its_burst_pass_and_then_one_an_interval() -> None:
    bounds = Bounds(rates=[rate("pace", SECOND, 2)])
    counters: dict[str, Counter] = {}
    for _ in range(2):
        assert find_refusal(bounds, counters, UNIT, NOW) is None
        counters = {one.id: one for one in count(bounds, counters, UNIT, NOW, held=False)}
    assert counters["pace"].arrival == NOW + 2 * SECOND
    assert find_refusal(bounds, counters, UNIT, NOW) == Refusal("pace", paced=True, wait=SECOND)
    assert find_refusal(bounds, counters, UNIT, NOW + SECOND) is None
    assert find_refusal(bounds, {}, 3 * UNIT, NOW) == Refusal("pace", paced=True, wait=None)


def test_what_must_be_waited_for_longest_is_the_reason() -> None:
    day, hour = quota("day", 10), quota("hour", 5)
    hour = replace(hour, fresh=replace(hour.fresh, ends_at=NOW + SECOND // 2))
    bounds = Bounds(quotas=[day, hour], rates=[rate("pace", SECOND, 1)])
    soon = replace(hour.fresh, used=5 * UNIT)
    passed = {"pace": counter("pace", arrival=NOW + SECOND)}
    refusal = find_refusal(bounds, {"hour": soon, **passed}, UNIT, NOW)
    assert refusal == Refusal("pace", paced=True, wait=SECOND)
    refusal = find_refusal(bounds, {"hour": soon, **passed, **used(day, used=10)}, UNIT, NOW)
    assert refusal == Refusal("day", paced=False, wait=DAY)
    refusal = find_refusal(bounds, used(day, used=10), 6 * UNIT, NOW)
    assert refusal == Refusal("hour", paced=False, wait=None)


def test_what_is_held_matters_only_when_nothing_else_is_in_the_way() -> None:
    day, hour = quota("day", 10), quota("hour", 5)
    held = used(day, held=10)
    refusal = find_refusal(Bounds(quotas=[day, hour]), held, UNIT, NOW)
    assert refusal is not None
    assert refusal.held
    refusal = find_refusal(Bounds(quotas=[day, hour]), held | used(hour, used=5), UNIT, NOW)
    assert refusal is not None
    assert not refusal.held


def test_all_counters_of_a_call_count_it() -> None:
    day, soft, pace = quota("day", 10), quota("soft", 1, hard=False), rate("pace", SECOND, 5)
    bounds = Bounds(quotas=[day, soft], rates=[pace])
    counters = used(day, used=1, held=2)
    after = {one.id: one for one in count(bounds, counters, 2 * UNIT, NOW, held=False)}
    assert after == {
        "day": replace(day.fresh, used=3 * UNIT, held=2 * UNIT),
        "soft": replace(soft.fresh, used=2 * UNIT),
        "pace": replace(pace.fresh, arrival=NOW + 2 * SECOND),
    }
    after = {one.id: one for one in count(bounds, counters, 2 * UNIT, NOW, held=True)}
    assert (after["day"].used, after["day"].held, after["soft"].held) == (UNIT, 4 * UNIT, 2 * UNIT)
    assert after["pace"].arrival == NOW + 2 * SECOND
    assert bounds.counter_ids() == ["day", "soft", "pace"]


def test_a_period_ends_when_the_plan_says_so_now() -> None:
    day = quota("day", 10)
    counters = {"day": replace(day.fresh, used=10 * UNIT, ends_at=NOW - 1)}
    assert find_refusal(Bounds(quotas=[day]), counters, UNIT, NOW) == Refusal("day", paced=False, wait=DAY)
    assert count(Bounds(quotas=[day]), counters, UNIT, NOW, held=False)[0].ends_at == NOW + DAY


def test_counters_stay_what_a_store_can_hold() -> None:
    assert moved(counter("a", used=MOST - 1), used=5).used == MOST
    assert moved(counter("a", held=MOST - 1), held=5).held == MOST
    assert moved(counter("a", held=3), held=-5).held == 0
    soft = Bounds(quotas=[quota("a", 1, hard=False)], rates=[rate("b", SECOND, 5)])
    assert [(one.used, one.arrival) for one in count(soft, {}, 2**80, NOW, held=False)] == [(MOST, 0), (0, MOST)]


def test_the_room_shared_by_quotas_is_that_of_the_fullest() -> None:
    day, hour = quota("day", 10), quota("hour", 5)
    bounds = Bounds(quotas=[day, hour, quota("soft", 1, hard=False)])
    assert shared_room(bounds, {}) == 5 * UNIT
    assert shared_room(bounds, used(day, used=6, held=1)) == 3 * UNIT
    assert shared_room(bounds, used(day, used=12)) == 0


def test_limits_stand_in_the_order_of_what_is_left() -> None:
    day, hour, pace = quota("day", 10), quota("hour", 5), rate("pace", SECOND // 2, 4)
    counters = used(day, used=8, carried=2) | used(hour, used=4) | {"pace": counter("pace", arrival=NOW + SECOND)}
    assert limit_states(Bounds(quotas=[day, hour], rates=[pace]), counters, NOW) == [
        LimitState(name="hour", quota=5 * UNIT, window=2 * 86_400, remaining=UNIT, resets=86_400.0),
        LimitState(name="day", quota=12 * UNIT, window=2 * 86_400, remaining=4 * UNIT, resets=86_400.0),
        LimitState(name="pace", quota=4 * UNIT, window=2, remaining=2 * UNIT, resets=1.0),
    ]
    over = limit_states(Bounds(quotas=[day]), used(day, used=20), NOW + 2 * DAY)
    assert (over[0].remaining, over[0].resets) == (0, 0.0)
    none = limit_states(Bounds(rates=[rate("none", SECOND, 0)], quotas=[quota("zero", 0)]), {}, NOW)
    assert [(one.name, one.quota, one.window) for one in none] == [("zero", 0, 2 * 86_400), ("none", 0, 1)]


def test_a_pace_that_runs_far_ahead_is_caught_up() -> None:
    bound, full = rate("minute", SECOND, 3), NOW + 3 * SECOND
    near, far = counter("minute", arrival=full + 60 * SECOND), counter("minute", arrival=full + 60 * SECOND + 1)
    bounds = Bounds(rates=[bound])
    assert caught_up(bounds, {"minute": near}, NOW) == []
    assert caught_up(bounds, {"minute": far}, NOW) == [replace(far, arrival=full)]
