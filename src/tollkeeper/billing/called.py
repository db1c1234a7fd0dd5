"""Which calls count alike: those of one name, for a stretch of time; found for each event in next to no time."""

from __future__ import annotations

from bisect import bisect_right
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from tollkeeper.billing.part_usage import pass_over

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from tollkeeper.billing.part_usage import Stretch
    from tollkeeper.events.event import UsageEvent

__all__ = ["CallTable", "Name", "name_of"]

Name = tuple[str | None, str | None, str | None, str]
"""What events call a route: api, version, endpoint and method."""

FIRST = datetime.min.replace(tzinfo=UTC)
LAST = datetime.max.replace(tzinfo=UTC)


class CallTable:
    """Hands events on to the part that they are in, by their key, name and time: mostly for the price of a look-up.

    ``stretches`` says, of a key and a name, where its calls count, and never twice at one time. Not to be shared
    between threads.
    """

    def __init__(self, stretches: Callable[[str, Name], Iterable[Stretch]]) -> None:
        self._stretches = stretches
        self._places: dict[tuple[str, Name], list[_Place]] = {}
        self._current: dict[tuple[str | None, ...], _Place] = {}

    def take(self, event: UsageEvent) -> None:
        """Count an event, or pass it over."""
        consumer = event.consumer
        if consumer is None:
            return
        asked = (consumer.key, event.api, event.api_version, event.route, event.method)
        place = self._current.get(asked)
        if place is None or not place.start <= event.time < place.end:
            place = self._current[asked] = self._enter(consumer.key, event)
        place.take(event)

    def _enter(self, key: str, event: UsageEvent) -> _Place:
        name = name_of(event)
        places = self._places.get((key, name))
        if places is None:
            places = self._places[key, name] = _placed(self._stretches(key, name))
        place = places[bisect_right(places, event.time, key=lambda one: one.start) - 1]
        stretch = place.stretch
        if stretch is not None:
            place.take = stretch.usage.enter(stretch, event.time)
        return place


class _Place:
    """A time of a name with what is to be done with its events."""

    __slots__ = ("end", "start", "stretch", "take")

    def __init__(self, start: datetime, end: datetime, stretch: Stretch | None) -> None:
        self.start, self.end, self.stretch = start, end, stretch
        self.take: Callable[[UsageEvent], None] = pass_over


def name_of(event: UsageEvent) -> Name:
    """What an event calls its route."""
    return event.api or None, event.api_version or None, event.route, event.method


def _placed(stretches: Iterable[Stretch]) -> list[_Place]:
    """Fill all of time, so that nothing has to be looked for twice."""
    found = [_Place(FIRST, LAST, None)]
    for stretch in sorted(stretches, key=lambda one: one.start):
        found[-1].end = stretch.start
        found += [_Place(stretch.start, stretch.end, stretch), _Place(stretch.end, LAST, None)]
    return found
