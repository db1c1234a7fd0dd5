"""Folding events of PostgreSQL into its roll-ups."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tollkeeper.metering.sketch import compact_sketch
from tollkeeper.store.postgresql.select import read_columns, select, statement
from tollkeeper.store.sql.folding import roll_up_all

if TYPE_CHECKING:
    from tollkeeper.store.postgresql.connections import Connections
    from tollkeeper.store.postgresql.sessions import Session

__all__ = ["backlog", "fold_events"]

PLACES = "SELECT watermark.folded, position.seq FROM watermark, position"
MOVE_WATERMARK = "UPDATE watermark SET folded = ? WHERE folded = ?"
KEY = "kind, grain, start, consumer_id, route_id, status"
SUMS = ("requests", "bytes", "units", "timed", "elapsed")
TYPES = ("int2", "int8", "int8", "int4", "int4", "int2", *("int8" for _ in SUMS), "bytea")

# Each session keeps its own; after a commit it is empty.
MAKE_FOLDING = "CREATE TEMPORARY TABLE IF NOT EXISTS folding (LIKE rollup) ON COMMIT DELETE ROWS"
COPY = f"COPY folding ({KEY}, {', '.join(SUMS)}, sketch) FROM STDIN (FORMAT BINARY)"
ADD = f"""
    INSERT INTO rollup ({KEY}, {", ".join(SUMS)}, sketch) SELECT {KEY}, {", ".join(SUMS)}, sketch FROM folding
    ON CONFLICT ({KEY}) DO UPDATE SET {", ".join(f"{name} = rollup.{name} + excluded.{name}" for name in SUMS)},
        sketch = rollup.sketch || excluded.sketch
"""
# A sketch that was added to is two in a row, until it is long; whoever reads one puts its pairs together.
LONG_BYTES = 2_000
LONG = f"""
    SELECT {KEY}, rollup.sketch FROM folding JOIN rollup USING ({KEY})
    WHERE octet_length(rollup.sketch) > {LONG_BYTES}
"""
SHORTEN = f"UPDATE rollup SET sketch = ? WHERE ({KEY}) = (?, ?, ?, ?, ?, ?)"


def fold_events(connections: Connections, limit: int) -> int:
    """Fold events behind the watermark; who comes second at the same events folds nothing.

    Roll-ups change only together with the watermark, whose row is taken first. So what was added up from a snapshot is
    written once, or thrown away when the watermark has moved meanwhile.
    """
    with connections.read() as session:
        ((watermark, last),) = select(session, PLACES, ())
        last = min(last, watermark + limit)
        if last == watermark:
            return 0
        columns = read_columns(session, "seq > ? AND seq <= ?", (watermark, last))
    partials = roll_up_all(columns)
    with connections.write() as session:
        # No need to wait for the disk: if the server dies, the watermark is back where it was, and the roll-ups too.
        session.execute("SET LOCAL synchronous_commit = off")
        if not session.execute(statement(MOVE_WATERMARK), (last, watermark)).rowcount:
            return 0
        session.execute(MAKE_FOLDING)
        with session.cursor().copy(statement(COPY)) as copy:
            copy.set_types(TYPES)
            for key, part in partials:
                copy.write_row((*key, part.requests, part.bytes, part.units, part.timed, part.elapsed, part.sketch))
        session.execute(statement(ADD))
        long = select(session, LONG, ())
        if long:
            session.cursor().executemany(statement(SHORTEN), [(compact_sketch(sketch), *key) for *key, sketch in long])
    return int(last - watermark)


def backlog(session: Session) -> int:
    """How far the watermark is behind; events are numbered without a gap."""
    ((watermark, last),) = select(session, PLACES, ())
    return int(last - watermark)
