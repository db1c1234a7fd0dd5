"""Giving sources, routes and consumers their numbers in PostgreSQL."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

from tollkeeper.store.postgresql.select import select, statement
from tollkeeper.store.sql.dimensions import Numbers, RouteKey

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tollkeeper.events.event import Consumer
    from tollkeeper.store.postgresql.connections import Connections
    from tollkeeper.store.postgresql.sessions import Session

__all__ = ["assign_numbers"]

# Who finds a name looks no further; who does not may meet another node that gives it a number at this moment.
FIND_SOURCES = "SELECT name, source_id FROM source WHERE name = ANY(?)"
ADD_SOURCES = "INSERT INTO source (name) SELECT * FROM unnest(?::text[]) ON CONFLICT DO NOTHING"
FIND_ROUTES = "SELECT digest, route_id FROM route WHERE digest = ANY(?)"
ADD_ROUTES = """
    INSERT INTO route (digest, template, method, api, api_version)
    SELECT * FROM unnest(?::bytea[], ?::text[], ?::text[], ?::text[], ?::text[]) ON CONFLICT DO NOTHING
"""
ADD_CONSUMERS = """
    INSERT INTO consumer (key, label, email, "group")
    SELECT * FROM unnest(?::text[], ?::text[], ?::text[], ?::text[])
    ON CONFLICT (key) DO UPDATE SET label = COALESCE(excluded.label, consumer.label),
        email = COALESCE(excluded.email, consumer.email), "group" = COALESCE(excluded."group", consumer."group")
    RETURNING key, consumer_id, label, email, "group"
"""


def assign_numbers(
    connections: Connections, sources: Sequence[str], routes: Sequence[RouteKey], consumers: Sequence[Consumer]
) -> Numbers:
    """Find numbers, or give new ones, in a transaction of their own; see ``Dimensions``.

    All nodes do so in one order, so that no two of them wait for each other.
    """
    digests = {_digest(key): key for key in routes}
    with connections.write() as session:
        found_sources = _found(session, FIND_SOURCES, ADD_SOURCES, {name: (name,) for name in sources})
        found_routes = _found(
            session, FIND_ROUTES, ADD_ROUTES, {digest: (digest, *digests[digest]) for digest in sorted(digests)}
        )
        known = [(who.key, who.label, who.email, who.group) for who in consumers]
        rows = select(session, ADD_CONSUMERS, _columns(known)) if known else []
    return Numbers(
        found_sources,
        {digests[digest]: number for digest, number in found_routes.items()},
        {key: (number, tuple(described)) for key, number, *described in rows},
    )


def _found(session: Session, find: str, add: str, rows: dict[Any, tuple[Any, ...]]) -> dict[Any, int]:
    """The number of each key; what has none yet is added, in the order of the keys."""
    found: dict[Any, int] = dict(select(session, find, (list(rows),))) if rows else {}
    if missing := [key for key in rows if key not in found]:
        session.execute(statement(add), _columns([rows[key] for key in missing]))
        found |= dict(select(session, find, (missing,)))
    return found


def _columns(rows: Sequence[tuple[Any, ...]]) -> tuple[list[Any], ...]:
    return tuple(map(list, zip(*rows, strict=True)))


def _digest(key: RouteKey) -> bytes:
    return hashlib.sha256("".join(f"{len(part)}:{part}" for part in key).encode()).digest()
