"""Days, months and years of usage, and the dates between which they lie, as api-usage-ms writes them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import TYPE_CHECKING, Literal, get_args

from msgspec import Struct

from tollkeeper.errors import InvalidRequestError
from tollkeeper.events.timestamps import from_microseconds, to_microseconds
from tollkeeper.metering.window import DAY
from tollkeeper.service.periods import Period, parse_time

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Interval", "IntervalType", "read_date", "read_interval"]

IntervalType = Literal["d", "m", "y"]
FORMAT = "%Y-%m-%d:%H:%M:%S"
LABELS: dict[IntervalType, str] = {"d": "%Y-%m-%d", "m": "%Y-%m", "y": "%Y"}
USUAL_DAYS: dict[IntervalType, int] = {"d": 30, "m": 365, "y": 3650}
MAX_DAYS = 60
MAX_PERIODS = 1_200


class Interval(Struct, frozen=True):
    """What is asked for: the time between two dates, by calendar periods (UTC) of one kind."""

    kind: IntervalType
    period: Period

    def periods(self) -> Iterator[tuple[str, Period]]:
        """Each calendar period that is touched, by its name, cut to what is asked for."""
        start = self.period.start
        while start < self.period.end:
            name, end = self._around(start)
            yield name, Period(start, min(end, self.period.end))
            start = end

    def _around(self, moment: int) -> tuple[str, int]:
        """The name and the end of the calendar period that a moment lies in."""
        at = from_microseconds(moment)
        first = at.replace(hour=0, minute=0, second=0, microsecond=0)
        if self.kind == "d":
            return _name(self.kind, first), to_microseconds(first) + DAY
        first = first.replace(day=1) if self.kind == "m" else first.replace(month=1, day=1)
        later = first + timedelta(days=32 if self.kind == "m" else 367)
        end = later.replace(day=1) if self.kind == "m" else later.replace(month=1, day=1)
        return _name(self.kind, first), to_microseconds(end)


def read_date(name: str, text: str) -> int:
    """Read ``YYYY-MM-DD:HH:MM:SS`` or ISO 8601, UTC where no zone is named, as microseconds since 1970.

    Other text raises InvalidRequestError, which calls the value ``name``.
    """
    try:
        moment = datetime.strptime(text, FORMAT).replace(tzinfo=UTC)
        return parse_time(name, moment.isoformat())
    except ValueError:
        pass
    except InvalidRequestError:
        raise _no_date(name, text) from None
    try:
        return parse_time(name, text)
    except InvalidRequestError:
        raise _no_date(name, text) from None


def read_interval(kind: str | None, start: str | None, end: str | None, *, now: datetime) -> Interval:
    """Read what is asked for: up to now when no end is named, a while back from the end when no start is.

    Raises InvalidRequestError for an unknown interval, for what is no date, and for 60 days or more by day.
    """
    found = next((one for one in get_args(IntervalType) if one == kind), None)
    if found is None:
        detail = "Missing: intervalType" if kind is None else f"intervalType is {kind[:100]!r}"
        raise InvalidRequestError(f"{detail}: give d, m or y.")
    last = read_date("toDate", end) if end else to_microseconds(now)
    first = read_date("fromDate", start) if start else max(last - USUAL_DAYS[found] * DAY, 0)
    if first >= last:
        raise InvalidRequestError("The range ends before it starts: give fromDate < toDate.")
    if found == "d" and last - first >= MAX_DAYS * DAY:
        raise InvalidRequestError(f"Please provide a range less than {MAX_DAYS} days")
    interval = Interval(found, Period(first, last))
    if next(islice(interval.periods(), MAX_PERIODS, None), None) is not None:
        raise InvalidRequestError(f"The range has more than {MAX_PERIODS} periods: give a shorter one.")
    return interval


def _name(kind: IntervalType, first: datetime) -> str:
    return first.strftime(LABELS[kind])


def _no_date(name: str, text: str) -> InvalidRequestError:
    return InvalidRequestError(
        f"{name} is {text[:100]!r}: give a date like 2026-10-31:12:00:00 or 2026-10-31T12:00:00Z."
    )
