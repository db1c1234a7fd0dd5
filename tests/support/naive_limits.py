"""Limits and their periods as anybody would work them out by a calendar on the wall: the yardstick of the real ones."""

from __future__ import annotations

import calendar
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

__all__ = ["EPOCH", "merged", "moment", "period", "to_us"]

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
QUARTER = timedelta(minutes=15)
LONGEST = timedelta(days=367)
LABELS: dict[str, Callable[[datetime], object]] = {
    "day": lambda local: local.date(),
    "week": lambda local: local.isocalendar()[:2],
    "month": lambda local: (local.year, local.month),
    "year": lambda local: local.year,
}


def moment(time_us: int) -> datetime:
    """A time in µs since 1970."""
    return EPOCH + timedelta(microseconds=time_us)


def to_us(at: datetime) -> int:
    """The same back."""
    return (at - EPOCH) // timedelta(microseconds=1)


def merged(*layers: Iterable[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """The limits by their names, later layers in the place of earlier ones; None is no limit."""
    found = {}
    for layer in layers:
        for limit in layer:
            found[f"{limit.get('endpoint') or 'all'} {limit['period']}"] = limit
    return {name: limit for name, limit in found.items() if limit["limit"] is not None}


def period(name: str, zone: str, anchor: datetime, at: datetime) -> tuple[int, int]:
    """The start and the end, in µs, of the period that a time lies in; a billing month is counted from an anchor."""
    if name in {"minute", "hour"}:
        start = at.replace(minute=0 if name == "hour" else at.minute, second=0, microsecond=0)
        return to_us(start), to_us(start + timedelta(**{f"{name}s": 1}))
    if name == "billing":
        return _billing(zone, anchor, at)
    label = LABELS[name]

    def shown(time: datetime) -> object:
        return label(time.astimezone(ZoneInfo(zone)))

    begin = at - (at - EPOCH) % QUARTER
    start = _edge(shown, begin, -1)
    return to_us(start), to_us(_edge(shown, begin, 1) + QUARTER)


def _edge(shown: Callable[[datetime], object], inside: datetime, direction: int) -> datetime:
    """The last quarter of an hour in a direction that the calendar shows the same of: all zones change at quarters."""
    same, other = 0, LONGEST // QUARTER
    while other - same > 1:
        middle = (same + other) // 2
        if shown(inside + direction * middle * QUARTER) == shown(inside):
            same = middle
        else:
            other = middle
    return inside + direction * same * QUARTER


def _billing(zone: str, anchor: datetime, at: datetime) -> tuple[int, int]:
    """Month after month from the anchor, on its day or the last that there is."""
    first = anchor.astimezone(ZoneInfo(zone)).replace(tzinfo=None)
    starts = [anchor]
    while starts[-1] <= at:
        year, month = divmod(first.year * 12 + first.month - 1 + len(starts), 12)
        day = min(first.day, calendar.monthrange(year, month + 1)[1])
        local = first.replace(year=year, month=month + 1, day=day, tzinfo=ZoneInfo(zone))
        starts.append(local.astimezone(UTC))
    return to_us(starts[-2]), to_us(starts[-1])
