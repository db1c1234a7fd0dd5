"""Folding events of a SQLite file into its roll-ups."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tollkeeper.metering.rollup import Columns
from tollkeeper.metering.sketch import merge_sketches
from tollkeeper.store.sql.folding import roll_up_all

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tollkeeper.metering.rollup import Partial
    from tollkeeper.store.sqlite.connections import Connections

__all__ = ["fold_events"]

UNFOLDED = """
    SELECT time, consumer_id, route_id, status, elapsed, MAX(bytes, 0), units, seq
    FROM event WHERE seq > ? ORDER BY seq LIMIT ?
"""
SUMS = "requests, bytes, units, timed, elapsed, sketch"
SUMS_OF = f"""
    SELECT {SUMS} FROM rollup
    WHERE kind = ? AND grain = ? AND start = ? AND consumer_id = ? AND route_id = ? AND status = ?
"""
WRITE_ROLLUP = f"""
    INSERT OR REPLACE INTO rollup (kind, grain, start, consumer_id, route_id, status, {SUMS})
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
"""


def fold_events(connections: Connections, limit: int) -> int:
    """Fold events behind the watermark; who comes second at the same events folds nothing.

    Roll-ups change only together with the watermark. So all the work is done before the write lock is taken, and
    thrown away when the watermark has moved meanwhile.
    """
    with connections.read() as connection:
        (watermark,) = connection.execute("SELECT folded FROM watermark").fetchone()
        rows = connection.execute(UNFOLDED, (watermark, limit)).fetchall()
        folded = [
            _added(key, part, connection.execute(SUMS_OF, key).fetchone())
            for key, part in roll_up_all(Columns.from_rows([row[:7] for row in rows]))
        ]
    if not rows:
        return 0
    with connections.write() as connection:
        moved = connection.execute(
            "UPDATE watermark SET folded = ? WHERE folded = ?", (rows[-1][-1], watermark)
        ).rowcount
        if not moved:
            return 0
        connection.executemany(WRITE_ROLLUP, folded)
    return len(rows)


def _added(key: tuple[int, ...], part: Partial, present: Sequence[Any] | None) -> tuple[Any, ...]:
    """The row as it shall stand, when ``present`` are the sums of the one that is there."""
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
