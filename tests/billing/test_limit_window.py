"""The periods of limits: those of the calendar, of an anchor, and of billing."""

from __future__ import annotations

import zoneinfo
from datetime import UTC, datetime, timedelta
from typing import Any, get_args
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tollkeeper.billing.limit import Limit
from tollkeeper.billing.limit_window import limit_window
from tollkeeper.billing.period import BillingPeriod, PeriodUnit
from tollkeeper.billing.plan import Plan
from tollkeeper.billing.subscription import Subscription
from tollkeeper.billing.terms import LimitPeriod, PlanChange

BERLIN = "Europe/Berlin"
MICROSECOND = timedelta(microseconds=1)
DAY = timedelta(days=1)
START = datetime(2026, 1, 10, 9, 30, tzinfo=UTC)
# Where clocks move by half an hour or by a whole day, where midnight is skipped, and where Ramadan stops the summer.
ODD = ["UTC", BERLIN, "Australia/Lord_Howe", "Pacific/Apia", "America/Sao_Paulo", "Asia/Beirut", "Africa/Casablanca"]
zones = st.sampled_from(ODD) | st.sampled_from(sorted(zoneinfo.available_timezones() - {"localtime"}))
moments = st.datetimes(datetime(1990, 1, 1), datetime(2040, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001  # made aware


def subscription(anchor: datetime = START) -> Subscription:
    return Subscription(id="sub", customer="cus", started_at=START, anchor=anchor, created_at=START)


def change(plan: str, at: datetime) -> PlanChange:
    return PlanChange(id=f"chg_{at.isoformat()}", subscription="sub", plan=plan, effective_at=at, created_at=START)


PLANS = {unit: Plan(id=unit, name=unit, period=unit, created_at=START) for unit in ("day", "week", "month", "year")}


def window(period: str, at: datetime, zone: str = "UTC", *, anchor: datetime | None = None) -> BillingPeriod:
    limit = Limit(limit=1, period=period, anchor=anchor)  # type: ignore[arg-type]  # a period
    return limit_window(limit, subscription(), [change("month", START)], PLANS, zone, at)


def local(period: BillingPeriod, zone: str) -> tuple[str, str]:
    return tuple(  # type: ignore[return-value]  # two
        f"{moment.astimezone(ZoneInfo(zone)).replace(tzinfo=None):%Y-%m-%d %H:%M}"
        for moment in (period.start, period.end)
    )


@pytest.mark.parametrize(
    ("period", "expected"),
    [
        ("minute", ("2026-03-29 14:07", "2026-03-29 14:08")),
        ("hour", ("2026-03-29 14:00", "2026-03-29 15:00")),
        ("day", ("2026-03-29 00:00", "2026-03-30 00:00")),
        ("week", ("2026-03-23 00:00", "2026-03-30 00:00")),  # from Monday
        ("month", ("2026-03-01 00:00", "2026-04-01 00:00")),
        ("year", ("2026-01-01 00:00", "2027-01-01 00:00")),
    ],
)
def test_periods_of_the_calendar_are_those_where_the_customer_is(period: str, expected: tuple[str, str]) -> None:
    at = datetime(2026, 3, 29, 14, 7, 59, 999_999, tzinfo=ZoneInfo(BERLIN))

    found = window(period, at, BERLIN)
    assert local(found, BERLIN) == expected
    assert found.start.tzinfo is found.end.tzinfo is UTC


def test_a_day_on_which_clocks_change_is_longer_or_shorter() -> None:
    lengths = [
        (found.end - found.start) / timedelta(hours=1)
        for found in (
            window("day", datetime(2026, month, day, 12, tzinfo=UTC), BERLIN)
            for month, day in ((3, 28), (3, 29), (10, 25))
        )
    ]
    assert lengths == [24, 23, 25]


def test_an_hour_is_one_hour_also_where_clocks_change() -> None:
    first = window("hour", datetime(2026, 10, 25, 0, 30, tzinfo=UTC), BERLIN)
    second = window("hour", datetime(2026, 10, 25, 1, 30, tzinfo=UTC), BERLIN)

    assert local(first, BERLIN)[0] == local(second, BERLIN)[0] == "2026-10-25 02:00"
    assert first.end == second.start


def test_a_day_that_a_place_left_out_is_no_period() -> None:
    # Samoa went from the 29th of December 2011 to the 31st.
    before = window("day", datetime(2011, 12, 30, 9, 59, tzinfo=UTC), "Pacific/Apia")
    after = window("day", before.end, "Pacific/Apia")

    assert local(before, "Pacific/Apia") == ("2011-12-29 00:00", "2011-12-31 00:00")
    assert local(after, "Pacific/Apia") == ("2011-12-31 00:00", "2012-01-01 00:00")


def test_where_midnight_is_skipped_the_day_begins_when_clocks_are_put_forward() -> None:
    found = window("day", datetime(2018, 11, 4, 12, tzinfo=UTC), "America/Sao_Paulo")

    assert local(found, "America/Sao_Paulo") == ("2018-11-04 01:00", "2018-11-05 00:00")
    assert found.end - found.start == timedelta(hours=23)


def test_an_anchor_says_where_periods_begin() -> None:
    anchor = datetime(2024, 1, 31, 18, tzinfo=ZoneInfo(BERLIN))

    def found(period: str, *day: int) -> tuple[str, str]:
        return local(window(period, datetime(*day, 12, tzinfo=UTC), BERLIN, anchor=anchor), BERLIN)  # type: ignore[arg-type, misc]  # a day

    assert found("month", 2024, 2, 20) == ("2024-01-31 18:00", "2024-02-29 18:00")
    assert found("month", 2023, 3, 1) == ("2023-02-28 18:00", "2023-03-31 18:00")  # before the anchor, too
    assert found("week", 2024, 2, 8) == ("2024-02-07 18:00", "2024-02-14 18:00")
    assert found("day", 2024, 7, 1) == ("2024-06-30 18:00", "2024-07-01 18:00")
    assert found("year", 2026, 1, 1) == ("2025-01-31 18:00", "2026-01-31 18:00")


def test_an_anchor_in_the_second_of_two_hours_begins_its_period() -> None:
    anchor = datetime(2026, 10, 25, 2, 30, tzinfo=ZoneInfo(BERLIN), fold=1)

    for unit in get_args(PeriodUnit):
        found = window(unit, anchor, BERLIN, anchor=anchor)
        assert found.start == datetime(2026, 10, 25, 1, 30, tzinfo=UTC)
        assert window(unit, anchor - MICROSECOND, BERLIN, anchor=anchor).end == found.start


def test_an_hour_that_comes_again_belongs_to_the_period_that_began_before() -> None:
    anchor = datetime(2026, 10, 24, 2, 45, tzinfo=ZoneInfo(BERLIN))
    again = datetime(2026, 10, 25, 2, 30, tzinfo=ZoneInfo(BERLIN), fold=1)

    found = window("day", again, BERLIN, anchor=anchor)
    assert found.start == datetime(2026, 10, 25, 0, 45, tzinfo=UTC)
    assert found.end == datetime(2026, 10, 26, 1, 45, tzinfo=UTC)


@pytest.mark.parametrize("unit", get_args(PeriodUnit))
@pytest.mark.parametrize("zone", ["UTC", "America/New_York", "Pacific/Kiritimati"])
def test_the_last_period_of_all_ends_within_the_calendar(unit: str, zone: str) -> None:
    at = datetime(9998, 12, 31, 23, 59, tzinfo=UTC)
    anchor = datetime(2025, 12, 31, 20, tzinfo=ZoneInfo(zone))

    for found in (window(unit, at, zone), window(unit, at, zone, anchor=anchor)):
        assert found.start <= at < found.end


def test_billing_periods_are_those_of_the_subscription_with_its_trial() -> None:
    billed = subscription(START + 14 * DAY)
    limit = Limit(limit=1, period="billing")

    def found(day: int) -> tuple[int, int]:
        period = limit_window(limit, billed, [change("week", START)], PLANS, "UTC", START + day * DAY)
        return (period.start - START).days, (period.end - START).days

    assert [found(day) for day in (0, 13, 14, 20, 21)] == [(0, 14), (0, 14), (14, 21), (14, 21), (21, 28)]


@given(st.data(), zones, moments, moments, st.sampled_from([*get_args(LimitPeriod)]))
def test_every_moment_lies_in_one_period(
    data: st.DataObject, zone: str, anchor: datetime, at: datetime, period: str
) -> None:
    given_anchor = data.draw(st.none() | st.just(anchor)) if period in get_args(PeriodUnit) else None
    found = window(period, at, zone, anchor=given_anchor)

    assert found.start <= at < found.end
    assert window(period, found.start, zone, anchor=given_anchor) == found
    assert window(period, found.end - MICROSECOND, zone, anchor=given_anchor) == found
    assert window(period, found.end, zone, anchor=given_anchor).start == found.end
    assert window(period, found.start - MICROSECOND, zone, anchor=given_anchor).end == found.start
    if given_anchor is not None:
        assert window(period, given_anchor, zone, anchor=given_anchor).start == given_anchor


@given(
    zones, st.integers(0, 40), st.lists(st.tuples(st.integers(0, 400 * 24), st.sampled_from(list(PLANS))), max_size=4)
)
def test_billing_periods_follow_one_another_through_trial_and_changes(
    zone: str, trial: int, later: list[tuple[int, str]]
) -> None:
    billed = subscription(START + trial * DAY)
    moves = {START + timedelta(hours=hours): plan for hours, plan in later}
    changes = [change(plan, at) for at, plan in ({START: "month"} | moves).items()]
    limit = Limit(limit=1, period="billing")
    at, seen = START, 0
    while at < START + 450 * DAY:
        period = limit_window(limit, billed, changes, PLANS, zone, at)
        assert period.start == at < period.end
        middle = at + (period.end - at) / 2
        assert limit_window(limit, billed, changes, PLANS, zone, middle) == period
        at, seen = period.end, seen + 1
    assert seen > 1


def test_a_plan_that_comes_at_another_time_ends_the_period_before() -> None:
    changes: list[Any] = [change("month", START), change("day", START + 10 * DAY)]
    limit = Limit(limit=1, period="billing")

    first = limit_window(limit, subscription(), changes, PLANS, "UTC", START)
    assert first == BillingPeriod(START, START + 10 * DAY)
