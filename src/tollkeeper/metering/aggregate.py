"""Partial aggregates of a meter: each of some events, so that any two merge, in any order, to what all would give.

Nothing is approximate, for money rests on it: a unique keeps its values, a percentile how often each value came.
"""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING

from msgspec import Struct

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tollkeeper.metering.meter import Meter

__all__ = ["Aggregate", "aggregate", "merge", "value_of"]

MICRO = 1_000_000


class Aggregate(Struct, frozen=True, kw_only=True):
    """What some events come to; numbers in millionths.

    ``latest`` is ``(time in µs, value)``; of events at one time the greatest value counts, so that order does not
    matter. ``values`` says how often each came, kept for a unique and a percentile alone. ``unread`` counts the events
    whose field held nothing that counts.
    """

    events: int = 0
    unread: int = 0
    total: int = 0
    greatest: int = 0
    latest: tuple[int, int] | None = None
    values: dict[int | str, int] = {}


def aggregate(meter: Meter, time_us: int, value: int | str | None) -> Aggregate:
    """The aggregate of one event, of the value that the meter read."""
    if value is None:
        return Aggregate(unread=1)
    if meter.aggregation in {"unique", "percentile"}:
        return Aggregate(events=1, values={value: 1})
    number = int(value)
    return Aggregate(events=1, total=number, greatest=number, latest=(time_us, number))


def merge(aggregates: Iterable[Aggregate]) -> Aggregate:
    """The aggregate of all events of the given ones, which must not share any."""
    every = list(aggregates)
    values: dict[int | str, int] = {}
    for one in every:
        for value, count in one.values.items():
            values[value] = values.get(value, 0) + count
    return Aggregate(
        events=sum(one.events for one in every),
        unread=sum(one.unread for one in every),
        total=sum(one.total for one in every),
        greatest=max((one.greatest for one in every), default=0),
        latest=max((one.latest for one in every if one.latest), default=None),
        values=values,
    )


def value_of(meter: Meter, found: Aggregate) -> int:
    """The value in millionths, 0 when there was nothing; a percentile is the nearest rank, a value that came."""
    if meter.aggregation in {"count", "sum"}:
        return found.total
    if meter.aggregation == "max":
        return found.greatest
    if meter.aggregation == "unique":
        return len(found.values) * MICRO
    if meter.aggregation == "latest":
        return found.latest[1] if found.latest else 0
    return _nearest_rank(found, Fraction(meter.percentile or 0) / 100)


def _nearest_rank(found: Aggregate, share: Fraction) -> int:
    rank = -(-share * found.events // 1)
    cumulated = 0
    for value in sorted(int(one) for one in found.values):
        cumulated += found.values[value]
        if cumulated >= rank:
            return value
    return 0
