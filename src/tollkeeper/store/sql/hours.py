"""The events of a few consumers, hour by hour: the roll-ups know the hours, so rare calls need no scan of events."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from tollkeeper.metering.window import HOUR
from tollkeeper.store.sql.filters import Condition
from tollkeeper.store.sql.held import folded_hours

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Mapping

    from tollkeeper.store.protocols import EventSpan
    from tollkeeper.store.sql.reading import Select
    from tollkeeper.store.sql.walked import Rows

__all__ = ["rows_by_hour"]

ROWS_AT_ONCE = 2_000
EVERYBODY = Condition("", (), on_route=False, on_consumer=False)


def rows_by_hour(
    select: Select, seq: str, columns: str, span: EventSpan, places: Mapping[int, int]
) -> Generator[Rows, None, None]:
    """Read a span, group by group, each in order; ``places`` are those of the groups, by the consumers' numbers.

    Whoever takes the first rows waits for no others. ``seq`` is that column, kept from the use of its index.
    """
    groups: defaultdict[int, list[int]] = defaultdict(list)
    for number, place in places.items():
        groups[place].append(number)
    for place in sorted(groups):
        among = EVERYBODY.among("consumer_id", groups[place])
        query = (
            f"SELECT {place} AS place, {columns} FROM event WHERE (time, seq) > (?, ?) AND time < ?"
            f" AND {seq} <= ?{among.sql} ORDER BY time, seq LIMIT ?"
        )
        for low, high in _hours(select, span, among):
            last, is_full = (low, -1), True
            while is_full and (rows := select(query, (*last, high, span.until, ROWS_AT_ONCE))):
                yield rows
                last, is_full = (rows[-1][4], rows[-1][1]), len(rows) == ROWS_AT_ONCE


def _hours(select: Select, span: EventSpan, among: Condition) -> Iterator[tuple[int, int]]:
    """The parts of the span, hour by hour, that hold an event of some consumers, folded or not."""
    unfolded = f"SELECT DISTINCT time / {HOUR} FROM event WHERE seq > (SELECT folded FROM watermark){among.sql}"
    late = {hour * HOUR for (hour,) in select(unfolded, among.values)}
    for hour in sorted(late | set(folded_hours(select, among, span.start, span.end))):
        low, high = max(hour, span.start), min(hour + HOUR, span.end)
        if low < high:
            yield low, high
