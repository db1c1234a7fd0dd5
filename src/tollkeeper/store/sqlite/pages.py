"""Single events, newest first, by keyset: a page costs the same wherever it is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tollkeeper.metering.window import DAY, HOUR
from tollkeeper.store.sqlite.filters import condition_for
from tollkeeper.store.sqlite.rows import SELECT_EVENT, event_from_row
from tollkeeper.store.sqlite.usage import kind_for

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator

    from tollkeeper.metering.rollup import Kind
    from tollkeeper.metering.usage import Filters
    from tollkeeper.store.protocols import StoredEvent
    from tollkeeper.store.sqlite.filters import Condition

__all__ = ["read_page"]

EARLIEST, LATEST = (-1, -1), (2**62, 2**62)
BETWEEN = "(time, seq) < (?, ?) AND (time, seq) > (?, ?)"
NEWEST_FIRST = "ORDER BY time DESC, seq DESC LIMIT ?"
FOLDED = "seq <= (SELECT seq FROM watermark)"
UNFOLDED = "seq > (SELECT seq FROM watermark)"


def read_page(
    connection: sqlite3.Connection,
    filters: Filters,
    *,
    before: tuple[int, int] | None,
    after: tuple[int, int] | None,
    limit: int,
) -> list[StoredEvent]:
    """List up to ``limit`` events between two places, within one snapshot."""
    condition = condition_for(connection, filters)
    if condition.impossible:
        return []
    bounds = (*(before or LATEST), *(after or EARLIEST))
    if not condition.sql:
        rows = connection.execute(f"{SELECT_EVENT} WHERE {BETWEEN} {NEWEST_FIRST}", (*bounds, limit)).fetchall()
        return [event_from_row(row) for row in rows]
    rows = _select(connection, UNFOLDED, bounds, condition, limit)
    for start in _hours(connection, condition, (before or LATEST)[0], (after or EARLIEST)[0]):
        if len(rows) >= limit and rows[limit - 1][3] >= start + HOUR:
            break
        within = f"time >= {start} AND time < {start + HOUR} AND {FOLDED}"
        rows += _select(connection, within, bounds, condition, limit)
        rows.sort(key=lambda row: (row[3], row[0]), reverse=True)
    return [event_from_row(row) for row in rows[:limit]]


def _select(
    connection: sqlite3.Connection, where: str, bounds: tuple[int, ...], condition: Condition, limit: int
) -> list[Any]:
    # The texts are constants and whole numbers; every value that a caller sent is bound.
    sql = f"{SELECT_EVENT} WHERE {where} AND {BETWEEN}{condition.sql} {NEWEST_FIRST}"
    return connection.execute(sql, (*bounds, *condition.values, limit)).fetchall()


def _hours(connection: sqlite3.Connection, condition: Condition, before: int, after: int) -> Iterator[int]:
    """The hours that hold a match, latest first: the roll-ups know them, so a rare match needs no scan of events."""
    kind = kind_for(by_route=condition.on_route, by_consumer=condition.on_consumer)
    day = _latest_day(connection, before + 1)
    while day is not None and day + DAY > after:
        if _holds(connection, kind, DAY, day, condition):
            for hour in range(day + DAY - HOUR, day - HOUR, -HOUR):
                if hour <= before and hour + HOUR > after and _holds(connection, kind, HOUR, hour, condition):
                    yield hour
        day = _latest_day(connection, day)


def _latest_day(connection: sqlite3.Connection, before: int) -> int | None:
    query = "SELECT MAX(start) FROM rollup WHERE kind = ? AND grain = ? AND start < ?"
    (day,) = connection.execute(query, (kind_for(by_route=False, by_consumer=False).code, DAY, before)).fetchone()
    return None if day is None else int(day)


def _holds(connection: sqlite3.Connection, kind: Kind, grain: int, start: int, condition: Condition) -> bool:
    query = f"SELECT 1 FROM rollup WHERE kind = ? AND grain = ? AND start = ?{condition.sql} LIMIT 1"
    return connection.execute(query, (kind.code, grain, start, *condition.values)).fetchone() is not None
