"""From the rows of a walk to events, with what many of them share looked up once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from tollkeeper.events.event import Consumer
from tollkeeper.store.protocols import StoredEvent
from tollkeeper.store.sql.dimensions import NOBODY
from tollkeeper.store.sql.rows import make_event

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from tollkeeper.store.sql.reading import Select

__all__ = ["Rows", "events_of_rows"]

Rows = Sequence[Sequence[Any]]
"""Some rows in order: the place of a group, and the columns of an event."""
CACHE_SIZE = 100_000
SOURCES = "SELECT source_id, name FROM source WHERE source_id IN ({numbers})"
ROUTES = "SELECT route_id, template, method, api, api_version FROM route WHERE route_id IN ({numbers})"
CONSUMERS = 'SELECT consumer_id, key, label, email, "group" FROM consumer WHERE consumer_id IN ({numbers})'


def events_of_rows(select: Select, chunks: Iterable[Rows]) -> Iterator[tuple[int, StoredEvent]]:
    """Make the events of rows, some rows at a time."""
    sources: dict[int, str] = {}
    routes: dict[int, tuple[str, str, str | None, str | None]] = {}
    consumers: dict[int, Consumer | None] = {}
    for rows in chunks:
        for cache in (sources, routes, consumers):
            if len(cache) > CACHE_SIZE:
                cache.clear()
        consumers[NOBODY] = None
        sources.update(_named(select, SOURCES, {row[2] for row in rows} - sources.keys()))
        for number, template, method, api, version in _named(select, ROUTES, {row[6] for row in rows} - routes.keys()):
            routes[number] = template, method, api or None, version or None
        for number, *known in _named(select, CONSUMERS, {row[5] for row in rows} - consumers.keys()):
            consumers[number] = Consumer(*known)
        for place, seq, source, id_, time, consumer, route, *rest in rows:
            shared = sources[source], routes[route], consumers[consumer]
            yield place, StoredEvent(seq, make_event(id_, time, shared, rest))


def _named(select: Select, query: str, numbers: set[int]) -> list[Any]:
    return select(query.format(numbers=", ".join(map(str, numbers))), ()) if numbers else []
