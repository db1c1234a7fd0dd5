"""Giving sources, routes and consumers their numbers in a SQLite file."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tollkeeper.store.sql.dimensions import Numbers, RouteKey

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Sequence

    from tollkeeper.events.event import Consumer
    from tollkeeper.store.sqlite.connections import Connections

__all__ = ["assign_numbers"]


def assign_numbers(
    connections: Connections, sources: Sequence[str], routes: Sequence[RouteKey], consumers: Sequence[Consumer]
) -> Numbers:
    """Find numbers, or give new ones, in a transaction of their own; see ``Dimensions``."""
    with connections.write() as connection:
        return Numbers(
            {name: _source(connection, name) for name in sources},
            {key: _route(connection, key) for key in routes},
            {who.key: _consumer(connection, who) for who in consumers},
        )


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
