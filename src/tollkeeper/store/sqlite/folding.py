"""From raw events to the rows of roll-ups as they shall stand: what is there, plus what is new."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tollkeeper.metering.rollup import GRAINS, Columns, Partial, roll_up
from tollkeeper.metering.sketch import merge_sketches

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Sequence

__all__ = ["WRITE_ROLLUP", "fold_rows"]

WRITE_ROLLUP = """
    INSERT OR REPLACE INTO rollup (
        kind, grain, start, consumer_id, route_id, status, requests, bytes, units, timed, elapsed, sketch)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
"""
PRESENT = """
    SELECT requests, bytes, units, timed, elapsed, sketch FROM rollup
    WHERE kind = ? AND grain = ? AND start = ? AND consumer_id = ? AND route_id = ? AND status = ?
"""


def fold_rows(connection: sqlite3.Connection, rows: Sequence[Sequence[int]]) -> list[tuple[Any, ...]]:
    """The rows for ``WRITE_ROLLUP`` that add events to what a snapshot holds; each event is seven integers and more."""
    if not rows:
        return []
    columns = Columns.from_rows([row[:7] for row in rows])
    return [
        _added(connection, (kind.code, grain, part.start, part.consumer, part.route, part.status), part)
        for kind, grains in GRAINS.items()
        for grain in grains
        for part in roll_up(columns, columns.time // grain * grain, by_route=kind.route, by_consumer=kind.consumer)
    ]


def _added(connection: sqlite3.Connection, key: tuple[int, ...], part: Partial) -> tuple[Any, ...]:
    present = connection.execute(PRESENT, key).fetchone()
    if present is None:
        return (*key, part.requests, part.bytes, part.units, part.timed, part.elapsed, part.sketch)
    requests, size, units, timed, elapsed, sketch = present
    return (
        *key,
        requests + part.requests,
        size + part.bytes,
        units + part.units,
        timed + part.timed,
        elapsed + part.elapsed,
        merge_sketches((sketch, part.sketch)),
    )
