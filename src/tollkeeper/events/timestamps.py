"""Times as whole microseconds since 1970 UTC: exact, and the same in every store."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

__all__ = ["END", "EPOCH", "from_microseconds", "to_microseconds"]

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
END = datetime(9999, 1, 1, tzinfo=UTC)
"""No event is at this time or later, so that every zone can still show it, and its period ends within the calendar."""
MICROSECOND = timedelta(microseconds=1)


def to_microseconds(moment: datetime) -> int:
    """Turn an aware time into microseconds, exact."""
    return (moment - EPOCH) // MICROSECOND


def from_microseconds(microseconds: int) -> datetime:
    """Turn microseconds into an aware time in UTC; raises OverflowError outside the years 1 to 9999."""
    return EPOCH + timedelta(microseconds=microseconds)
