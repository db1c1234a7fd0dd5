"""Which buckets of the roll-ups hold an event that matches: so that a rare one needs no scan of all events."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tollkeeper.metering.window import DAY, HOUR, TEN_DAYS
from tollkeeper.store.sql.buckets import kind_for

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tollkeeper.metering.rollup import Kind
    from tollkeeper.store.sql.filters import Condition
    from tollkeeper.store.sql.reading import Select

__all__ = ["folded_hours"]

STARTS = "SELECT DISTINCT start FROM rollup WHERE kind = ? AND grain = ? AND start > ? AND start < ?"
# One look into the key for each bucket. A scalar subquery is not turned into a join that goes through all of them.
HELD = """
    WITH bucket (at) AS (VALUES {starts}) SELECT at FROM bucket
    WHERE (SELECT 1 FROM rollup WHERE kind = ? AND grain = ? AND start = at{condition} LIMIT 1) IS NOT NULL
"""


def folded_hours(
    select: Select, condition: Condition, low: int, high: int, *, latest_first: bool = False
) -> Iterator[int]:
    """The starts of the hours with a folded event in ``[low, high)`` that matches, in order of time.

    They come ten days at a time: whoever needs only the first ones does not wait for the others.
    """
    kind = kind_for(by_route=condition.on_route, by_consumer=condition.on_consumer)
    every = kind_for(by_route=False, by_consumer=False).code
    tens = [start for (start,) in select(STARTS, (every, TEN_DAYS, low - TEN_DAYS, high))]
    for ten in sorted(_held(select, kind, TEN_DAYS, tens, condition), reverse=latest_first):
        days = _held(select, kind, DAY, range(ten, ten + TEN_DAYS, DAY), condition)
        hours = [hour for day in days for hour in range(day, day + DAY, HOUR) if low < hour + HOUR and hour < high]
        yield from sorted(_held(select, kind, HOUR, hours, condition), reverse=latest_first)


def _held(select: Select, kind: Kind, grain: int, starts: Sequence[int], condition: Condition) -> list[int]:
    if not starts:
        return []
    listed = ", ".join(f"({start})" for start in starts)
    # The key goes by consumer before it goes by route.
    one = "" if kind.consumer else " AND consumer_id = 0"
    query = HELD.format(starts=listed, condition=f"{one}{condition.sql}")
    return [start for (start,) in select(query, (kind.code, grain, *condition.values))]
