"""How events are read group by group, however many there are: which are looked at, and who sorts them."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import Struct

from tollkeeper.store.sql.hours import rows_by_hour
from tollkeeper.store.sql.walked import events_of_rows

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator, Sequence

    from tollkeeper.store.protocols import EventSpan, StoredEvent
    from tollkeeper.store.sql.reading import Select
    from tollkeeper.store.sql.walked import Rows

    Stream = Callable[[str, Sequence[Any]], Generator[Rows, None, None]]

__all__ = ["Dialect", "read_walk"]

FEW = 20
"""Of so many consumers or fewer, the roll-ups tell the hours with calls of theirs; of more, all events are read."""
KEYS_AT_ONCE = 500
COLUMNS = "seq, source_id, id, time, event.consumer_id, route_id, status, elapsed, bytes, units, path, {detail}, gated"
IN_ORDER = "ORDER BY place, time, seq"


class Dialect(Struct, frozen=True):
    """How an engine says it: ``pairs`` turns a JSON array of pairs of integers, which is bound, into rows.

    ``aside`` before a column keeps its index out of use, where the engine would not know better.
    """

    pairs: str
    aside: str


def read_walk(
    select: Select, stream: Stream, dialect: Dialect, span: EventSpan, groups: Sequence[Sequence[str]] | None
) -> Generator[tuple[int, StoredEvent], None, None]:
    """Read what ``EventStore.walk`` shall give, in the snapshot of ``select``; to be closed before that ends.

    ``stream`` runs a SELECT too, and gives its rows some at a time; they need not fit into memory.
    """
    with closing(_rows(select, stream, dialect, span, groups)) as rows:
        yield from events_of_rows(select, rows)


def _rows(
    select: Select, stream: Stream, dialect: Dialect, span: EventSpan, groups: Sequence[Sequence[str]] | None
) -> Generator[Rows, None, None]:
    columns = COLUMNS.format(detail="detail" if span.whole else "NULL AS detail")
    # Of late events, those that came behind a place are few; else the time tells best which are wanted.
    time, seq = (f"{dialect.aside}time", "seq") if span.after else ("time", f"{dialect.aside}seq")
    where = f"{time} >= ? AND {time} < ? AND {seq} > ? AND {seq} <= ?"
    limits = span.start, span.end, span.after, span.until
    if groups is None:
        yield from stream(f"SELECT consumer_id AS place, {columns} FROM event WHERE {where} {IN_ORDER}", limits)
        return
    places = dict(_places(select, groups))
    if len(places) <= FEW and not span.after:
        yield from rows_by_hour(select, f"{dialect.aside}seq", columns, span, places)
        return
    yield from stream(
        f"WITH member (consumer_id, place) AS MATERIALIZED ({dialect.pairs}) SELECT place, {columns}"
        f" FROM event CROSS JOIN member WHERE member.consumer_id = event.consumer_id AND {where} {IN_ORDER}",
        (msgspec.json.encode(list(places.items())).decode(), *limits),
    )


def _places(select: Select, groups: Sequence[Sequence[str]]) -> Iterator[tuple[int, int]]:
    """The numbers of the consumers that are known, each with the place of its group."""
    place_of = {key: place for place, keys in enumerate(groups) for key in keys}
    wanted = list(place_of)
    for at in range(0, len(wanted), KEYS_AT_ONCE):
        keys = wanted[at : at + KEYS_AT_ONCE]
        query = f"SELECT consumer_id, key FROM consumer WHERE key IN ({', '.join('?' for _ in keys)})"
        for number, key in select(query, keys):
            yield number, place_of[key]
