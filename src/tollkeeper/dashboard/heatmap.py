"""When in the week an API is used: hour of the day by day of the week, in UTC."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

from tollkeeper.metering.usage import UsageQuery
from tollkeeper.metering.window import DAY, HOUR

if TYPE_CHECKING:
    from tollkeeper.dashboard.view import View
    from tollkeeper.store.protocols import EventStore

__all__ = ["Cell", "load_heatmap"]

DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
THURSDAY = 3
"""The weekday of 1970-01-01."""
LEVELS = 5


class Cell(Struct, frozen=True):
    """The mean of requests in one hour of the week, and its shade from 0 to 5; None when the span has no such hour."""

    hour: int
    mean: float | None
    level: int


def load_heatmap(store: EventStore, view: View) -> list[tuple[str, list[Cell]]]:
    """Average the requests of each hour of the week over a span, up to now; seven rows of 24 cells."""
    span = view.range
    counts = [[0] * 24 for _ in DAYS]
    hours = [[0] * 24 for _ in DAYS]
    for start in range(span.start // HOUR * HOUR, min(span.end, span.now), HOUR):
        day, hour = _place(start)
        hours[day][hour] += 1
    query = UsageQuery(start=span.start, end=span.end, step=HOUR, filters=view.filters)
    for row in store.usage(query):
        day, hour = _place(row.start)
        counts[day][hour] += row.totals.requests
    means = [
        [count / times if times else None for count, times in zip(*pair, strict=True)]
        for pair in zip(counts, hours, strict=True)
    ]
    peak = max((mean for row in means for mean in row if mean), default=0.0)
    return [
        (name, [Cell(hour, mean, _level(mean, peak)) for hour, mean in enumerate(row)])
        for name, row in zip(DAYS, means, strict=True)
    ]


def _place(time_us: int) -> tuple[int, int]:
    return (time_us // DAY + THURSDAY) % 7, time_us % DAY // HOUR


def _level(mean: float | None, peak: float) -> int:
    return min(LEVELS, 1 + int(LEVELS * mean / peak)) if mean else 0
