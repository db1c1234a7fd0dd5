"""Proration: the share of a period that a part of it is, by the second or by the day."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING, Literal
from zoneinfo import ZoneInfo

from tollkeeper.errors import UnprocessableError
from tollkeeper.events.timestamps import to_microseconds

if TYPE_CHECKING:
    from datetime import datetime

    from tollkeeper.billing.period import BillingPeriod

__all__ = ["ProrateBy", "period_share"]

ProrateBy = Literal["second", "day"]

SECOND = 1_000_000


def period_share(
    period: BillingPeriod, part: BillingPeriod, by: ProrateBy = "second", time_zone: str = "UTC"
) -> Fraction:
    """The share, from 0 to 1, that a part takes of a period; what of it lies outside doesn't count.

    The second or the day in which a part begins is its own, the one in which it ends is not: so parts without a gap
    add up to 1. Raises UnprocessableError when the period has not one of them.
    """
    first, last = max(part.start, period.start), min(part.end, period.end)
    whole = _count(period.start, period.end, by, time_zone)
    if whole <= 0:
        raise UnprocessableError(f"The period has not one {by}: prorate by the second, in periods of a second or more.")
    return Fraction(max(_count(first, last, by, time_zone), 0), whole)


def _count(start: datetime, end: datetime, by: ProrateBy, time_zone: str) -> int:
    if by == "second":
        return to_microseconds(end) // SECOND - to_microseconds(start) // SECOND
    zone = ZoneInfo(time_zone)
    return (end.astimezone(zone).date() - start.astimezone(zone).date()).days
