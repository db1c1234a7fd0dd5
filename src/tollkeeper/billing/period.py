"""Billing periods: half-open, counted from an anchor on the customer's own calendar."""

from __future__ import annotations

import calendar
from datetime import UTC, datetime, timedelta
from typing import Literal
from zoneinfo import ZoneInfo

from msgspec import Struct

__all__ = ["BillingPeriod", "PeriodUnit", "period_at"]

PeriodUnit = Literal["day", "week", "month", "year"]
DAYS = {"day": 1, "week": 7}
MONTHS = {"month": 1, "year": 12}
MONTHS_A_YEAR = 12
LAST = datetime.max.replace(tzinfo=UTC)
"""Where a period ends that would end in the year 10,000."""


class BillingPeriod(Struct, frozen=True):
    """A span of time ``[start, end)`` in UTC."""

    start: datetime
    end: datetime


def period_at(anchor: datetime, unit: PeriodUnit, time_zone: str, at: datetime) -> BillingPeriod:
    """The period that a time lies in. Each begins at the anchor's time of day where the customer is.

    A month that lacks the anchor's day has the period begin on its last day; the next month has it back on the anchor's
    day. So each start is counted from the anchor, never from the period before.
    """
    zone = ZoneInfo(time_zone)
    # What is left without its zone still knows (by its fold) which of two hours it is when clocks are put back.
    first, now = (moment.astimezone(zone).replace(tzinfo=None) for moment in (anchor, at))
    if unit in DAYS:
        index = (now - first) // timedelta(days=DAYS[unit])
    else:
        months = (now.year - first.year) * MONTHS_A_YEAR + now.month - first.month
        index = months // MONTHS[unit]
    # The estimate may be one off, by the day of the month or by a clock that was put forward or back.
    while _start(first, unit, index, zone) > at:
        index -= 1
    while (end := _start(first, unit, index + 1, zone)) <= at:
        index += 1
    return BillingPeriod(_start(first, unit, index, zone), end)


def _start(first: datetime, unit: PeriodUnit, index: int, zone: ZoneInfo) -> datetime:
    try:
        return _local_start(first, unit, index).replace(tzinfo=zone).astimezone(UTC)
    except (ValueError, OverflowError):
        return LAST


def _local_start(first: datetime, unit: PeriodUnit, index: int) -> datetime:
    if unit in DAYS:
        return (first + timedelta(days=DAYS[unit] * index)).replace(fold=first.fold)
    months = first.month - 1 + MONTHS[unit] * index
    year, month = first.year + months // MONTHS_A_YEAR, months % MONTHS_A_YEAR + 1
    return first.replace(year=year, month=month, day=min(first.day, calendar.monthrange(year, month)[1]))
