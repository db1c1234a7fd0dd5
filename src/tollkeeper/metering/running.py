"""A meter that reads events one after another, and keeps no more of them than its value needs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tollkeeper.metering.aggregate import Aggregate, value_of
from tollkeeper.metering.meter import read_event
from tollkeeper.metering.quantity import Quantity

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from tollkeeper.events.event import UsageEvent
    from tollkeeper.metering.meter import Aggregation, Meter

__all__ = ["Group", "RunningMeter"]

MICRO = 1_000_000

Group = tuple[str | None, ...]
"""The values of what a meter tells events apart by."""

Added = tuple[Group, int]
ONE_OF_ALL: Added = ((), MICRO)


class RunningMeter:
    """What each of the events, which come in order of time, adds to a meter's value, by group, without keeping these.

    An event that adds nothing to a max or a unique, because it was reached before, has the amount 0. A unique keeps
    its values by group, and a percentile how often each came. ``unread`` counts the events whose field held nothing
    that counts. Not to be shared between threads.
    """

    def __init__(self, meter: Meter) -> None:
        self.unread = 0
        self._meter = meter
        self._greatest: dict[Group, int] = {}
        self._seen: dict[Group, dict[int | str, int]] = {}
        self._last: dict[Group, tuple[datetime, int]] = {}
        adding: dict[Aggregation, Callable[[Group, int | str, datetime], Added | None]] = {
            "max": self._maximum,
            "unique": self._unique,
            "latest": self._latest,
            "percentile": self._percentile,
        }
        self._add = adding.get(meter.aggregation, _whole)
        # A count of everything has nothing to read off an event, and events come by the million.
        self._counts_all = meter.field is None and not meter.filters and not meter.group_by

    def take(self, event: UsageEvent) -> Added | None:
        """Take an event: its group and what it adds (millionths); None for what does not count, or only in the end."""
        if self._counts_all:
            return ONE_OF_ALL
        reading = read_event(self._meter, event)
        if reading is None:
            return None
        if reading.value is None:
            self.unread += 1
            return None
        return self._add(reading.group, reading.value, event.time)

    def ending(self) -> dict[Group, Quantity]:
        """What counts only in the end, a latest or a percentile: one quantity a group, at its last event's time."""
        return {group: Quantity(at, self._final(group, number)) for group, (at, number) in self._last.items()}

    def _maximum(self, group: Group, value: int | str, _: datetime) -> Added:
        before = self._greatest.get(group, 0)
        self._greatest[group] = max(before, int(value))
        return group, self._greatest[group] - before

    def _unique(self, group: Group, value: int | str, _: datetime) -> Added:
        return group, MICRO if self._count(group, value) == 1 else 0

    def _latest(self, group: Group, value: int | str, at: datetime) -> None:
        when, before = self._last.get(group, (at, 0))
        self._last[group] = at, max(before, int(value)) if at == when else int(value)

    def _percentile(self, group: Group, value: int | str, at: datetime) -> None:
        self._count(group, value)
        self._last[group] = at, 0

    def _count(self, group: Group, value: int | str) -> int:
        seen = self._seen.setdefault(group, {})
        seen[value] = seen.get(value, 0) + 1
        return seen[value]

    def _final(self, group: Group, number: int) -> int:
        values = self._seen.get(group)
        if values is None:
            return number
        return value_of(self._meter, Aggregate(events=sum(values.values()), values=values))


def _whole(group: Group, value: int | str, _: datetime) -> Added:
    return group, int(value)
