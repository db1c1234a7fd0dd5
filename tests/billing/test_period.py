from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import get_args
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tollkeeper.billing.period import PeriodUnit, period_at

BERLIN = "Europe/Berlin"
ZONES = ["UTC", BERLIN, "America/New_York", "Asia/Kolkata", "Pacific/Apia", "Australia/Lord_Howe"]
moments = st.datetimes(datetime(2005, 1, 1), datetime(2040, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001  # made aware


def starts(anchor: datetime, unit: PeriodUnit, zone: str, count: int) -> list[datetime]:
    found = [anchor]
    while len(found) < count:
        found.append(period_at(anchor, unit, zone, found[-1]).end)
    return found


def test_months_begin_on_the_day_of_the_anchor_or_the_last_day() -> None:
    anchor = datetime(2026, 1, 31, 12, tzinfo=UTC)

    days = [(start.month, start.day) for start in starts(anchor, "month", "UTC", 6)]
    assert days == [(1, 31), (2, 28), (3, 31), (4, 30), (5, 31), (6, 30)]
    assert [start.day for start in starts(datetime(2024, 2, 29, tzinfo=UTC), "year", "UTC", 5)] == [29, 28, 28, 28, 29]


def test_a_period_begins_at_the_same_time_of_day_where_the_customer_is() -> None:
    anchor = datetime(2026, 3, 15, 23, tzinfo=UTC)  # midnight in Berlin
    local = [start.astimezone(ZoneInfo(BERLIN)) for start in starts(anchor, "month", BERLIN, 12)]

    assert {(start.day, start.hour) for start in local} == {(16, 0)}
    assert len({start.utcoffset() for start in local}) == 2


@pytest.mark.parametrize("unit", get_args(PeriodUnit))
def test_the_anchor_begins_a_period_and_its_end_the_next(unit: PeriodUnit) -> None:
    anchor = datetime(2026, 5, 5, 5, 5, 5, tzinfo=UTC)
    first = period_at(anchor, unit, BERLIN, anchor)

    assert first.start == anchor
    assert period_at(anchor, unit, BERLIN, first.end - timedelta(microseconds=1)) == first
    assert period_at(anchor, unit, BERLIN, first.end).start == first.end


@given(moments, moments, st.sampled_from(get_args(PeriodUnit)), st.sampled_from(ZONES))
def test_every_moment_lies_in_one_period(anchor: datetime, at: datetime, unit: PeriodUnit, zone: str) -> None:
    period = period_at(anchor, unit, zone, at)

    assert period.start <= at < period.end
    assert period_at(anchor, unit, zone, period.start) == period
    assert period_at(anchor, unit, zone, period.end).start == period.end
    assert period_at(anchor, unit, zone, period.start - timedelta(microseconds=1)).end == period.start
