"""The months that invoices bill, on each customer's own calendar."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from tollkeeper.billing.period import BillingPeriod
from tollkeeper.errors import InvalidRequestError

__all__ = ["check_month", "month_after", "month_of", "month_span", "months_before"]

MONTH = re.compile(r"(19[7-9]\d|2\d{3})-(0[1-9]|1[0-2])")
MONTHS_A_YEAR = 12


def check_month(month: str) -> str:
    """Refuse what is no month as ``2026-10``; raises InvalidRequestError."""
    if not MONTH.fullmatch(month):
        raise InvalidRequestError(f"The month is {month[:40]!r}: give year and month, as 2026-10.")
    return month


def month_span(month: str, time_zone: str) -> BillingPeriod:
    """The month ``[start, end)`` where the customer is, in UTC."""
    return BillingPeriod(_start(month, time_zone), _start(month_after(month), time_zone))


def month_of(at: datetime) -> str:
    """The month that a time lies in, in UTC."""
    return f"{at.astimezone(UTC):%Y-%m}"


def month_after(month: str) -> str:
    """The next month."""
    return _named(_number(month) + 1)


def months_before(month: str, count: int) -> list[str]:
    """So many months before a month, the newest first."""
    return [_named(_number(month) - back) for back in range(1, count + 1)]


def _start(month: str, time_zone: str) -> datetime:
    year, number = int(month[:4]), int(month[5:])
    return datetime(year, number, 1, tzinfo=ZoneInfo(time_zone)).astimezone(UTC)


def _number(month: str) -> int:
    return int(month[:4]) * MONTHS_A_YEAR + int(month[5:]) - 1


def _named(number: int) -> str:
    return f"{number // MONTHS_A_YEAR:04d}-{number % MONTHS_A_YEAR + 1:02d}"
