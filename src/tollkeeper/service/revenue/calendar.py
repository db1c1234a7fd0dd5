"""Calendar months in UTC, by which revenue is told."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tollkeeper.errors import InvalidRequestError
from tollkeeper.events.timestamps import from_microseconds
from tollkeeper.service.invoicing.months import month_after, month_of, month_span, months_before
from tollkeeper.service.periods import parse_time

if TYPE_CHECKING:
    from datetime import datetime

__all__ = ["last_months", "months_between", "revenue_span"]

A_YEAR = 12
MAX_MONTHS = 120


def months_between(start: datetime, end: datetime) -> list[str]:
    """All months that ``[start, end)`` has a part of; raises InvalidRequestError for none, or for more than 120."""
    if end <= start:
        raise InvalidRequestError("The time ends before it starts: give from < to.")
    found = [month_of(start)]
    while month_span(found[-1], "UTC").end < end:
        if len(found) == MAX_MONTHS:
            raise InvalidRequestError(f"The time has more than {MAX_MONTHS} months: give a later from.")
        found.append(month_after(found[-1]))
    return found


def last_months(now: datetime, count: int = A_YEAR) -> tuple[datetime, datetime]:
    """The time of so many months, the running one the last of them."""
    running = month_of(now)
    first = months_before(running, count - 1)[-1] if count > 1 else running
    return month_span(first, "UTC").start, month_span(running, "UTC").end


def revenue_span(start: str | None, end: str | None, now: datetime) -> tuple[datetime, datetime]:
    """Read ``[from, to)``; what is left out is that of the last twelve months. Raises InvalidRequestError."""
    first, last = last_months(now)
    return (
        from_microseconds(parse_time("from", start)) if start else first,
        from_microseconds(parse_time("to", end)) if end else last,
    )
