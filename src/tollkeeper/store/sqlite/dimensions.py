"""What many events share (sources, routes, consumers), kept once and named by small numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeGuard

from tollkeeper.events.routes import template_path

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Iterable, Sequence
    from contextlib import AbstractContextManager

    from tollkeeper.events.event import Consumer, UsageEvent

    Write = Callable[[], AbstractContextManager[sqlite3.Connection]]

__all__ = ["Dimensions", "RouteKey", "route_key"]

RouteKey = tuple[str, str, str, str]
"""Template, method, api, version; an absent api or version is empty."""

NOBODY = 0
CACHE_SIZE = 100_000


def route_key(event: UsageEvent) -> RouteKey:
    """The route that an event counts on; without a template from the app, one is made of the path."""
    template = event.route if event.route is not None else template_path(event.path)
    return template, event.method, event.api or "", event.api_version or ""


class Dimensions:
    """Finds the number of a source, route or consumer, and gives a new one its own.

    What is cached is committed: numbers are handed out in a transaction of their own, before the events that need them.
    """

    def __init__(self, write: Write) -> None:
        self._write = write
        self._sources: dict[str, int] = {}
        self._routes: dict[RouteKey, int] = {}
        self._consumers: dict[str, tuple[int, tuple[str | None, ...]]] = {}

    def learn(self, names: Iterable[str], events: Sequence[UsageEvent]) -> None:
        """Make sure that every source, route and consumer of the events, and every source named, has its number."""
        for cache in (self._sources, self._routes, self._consumers):
            if len(cache) > CACHE_SIZE:
                cache.clear()
        sources = {*names, *(event.source for event in events)} - self._sources.keys()
        routes = {route_key(event) for event in events} - self._routes.keys()
        consumers = {who.key: who for event in events if self._is_news(who := event.consumer)}
        if not sources and not routes and not consumers:
            return
        with self._write() as connection:
            found_sources = {name: _source(connection, name) for name in sources}
            found_routes = {key: _route(connection, key) for key in routes}
            found_consumers = {key: _consumer(connection, who) for key, who in consumers.items()}
        self._sources |= found_sources
        self._routes |= found_routes
        self._consumers |= found_consumers

    def _is_news(self, who: Consumer | None) -> TypeGuard[Consumer]:
        if who is None:
            return False
        known = self._consumers.get(who.key)
        return known is None or any(
            new is not None and new != old for new, old in zip((who.label, who.email, who.group), known[1], strict=True)
        )

    def source(self, name: str) -> int:
        """The number of a source that was learned."""
        return self._sources[name]

    def route(self, key: RouteKey) -> int:
        """The number of a route that was learned."""
        return self._routes[key]

    def consumer(self, consumer: Consumer | None) -> int:
        """The number of a consumer that was learned."""
        return self._consumers[consumer.key][0] if consumer else NOBODY


def _source(connection: sqlite3.Connection, name: str) -> int:
    connection.execute("INSERT OR IGNORE INTO source (name) VALUES (?)", (name,))
    return _number(connection, "SELECT source_id FROM source WHERE name = ?", (name,))


def _route(connection: sqlite3.Connection, key: RouteKey) -> int:
    connection.execute("INSERT OR IGNORE INTO route (template, method, api, api_version) VALUES (?, ?, ?, ?)", key)
    return _number(
        connection,
        "SELECT route_id FROM route WHERE template = ? AND method = ? AND api = ? AND api_version = ?",
        key,
    )


def _consumer(connection: sqlite3.Connection, who: Consumer) -> tuple[int, tuple[str | None, ...]]:
    connection.execute(
        'INSERT INTO consumer (key, label, email, "group") VALUES (?, ?, ?, ?)'
        " ON CONFLICT (key) DO UPDATE SET label = COALESCE(excluded.label, label),"
        ' email = COALESCE(excluded.email, email), "group" = COALESCE(excluded."group", "group")',
        (who.key, who.label, who.email, who.group),
    )
    query = 'SELECT consumer_id, label, email, "group" FROM consumer WHERE key = ?'
    number, *described = connection.execute(query, (who.key,)).fetchone()
    return int(number), tuple(described)


def _number(connection: sqlite3.Connection, query: str, values: tuple[str, ...]) -> int:
    return int(connection.execute(query, values).fetchone()[0])
