"""The time that an export is of, as somebody writes it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tollkeeper.errors import InvalidRequestError
from tollkeeper.events.timestamps import from_microseconds
from tollkeeper.service.invoicing.months import month_of, month_span, months_before
from tollkeeper.service.periods import parse_time

if TYPE_CHECKING:
    from datetime import datetime

__all__ = ["export_span"]


def export_span(start: str | None, end: str | None, now: datetime) -> tuple[datetime, datetime]:
    """Read ``[from, to)``; without a start last month's, without an end ``now``, without both the whole last month.

    Raises InvalidRequestError for what is no time, and for a time that ends before it starts.
    """
    last = month_span(months_before(month_of(now), 1)[0], "UTC")
    first = from_microseconds(parse_time("from", start)) if start else last.start
    until = from_microseconds(parse_time("to", end)) if end else (now if start else last.end)
    if until <= first:
        raise InvalidRequestError("The time ends before it starts: give from < to.")
    return first, until
