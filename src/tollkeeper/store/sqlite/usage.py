"""How SQLite reads roll-ups and events for a question of usage."""

from __future__ import annotations

import sqlite3
from functools import partial
from typing import TYPE_CHECKING, Any

from tollkeeper.metering.rollup import Columns
from tollkeeper.metering.usage import Totals
from tollkeeper.store.sql.buckets import COLUMN, FIRST_ERROR_STATUS, SCAN, bucket_of_time
from tollkeeper.store.sql.reading import Reading

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from tollkeeper.metering.rollup import Kind
    from tollkeeper.metering.usage import UsageQuery
    from tollkeeper.store.sql.filters import Condition
    from tollkeeper.store.sql.reading import Group

__all__ = ["reading", "select"]

HALF = 2**32
SUMS = "SUM(bytes), SUM(units), SUM(elapsed)"
# SUM fails over 64 bits: then the halves of each number are added up, and put together here.
BIG_SUMS = ", ".join(f"SUM({name} >> 32), SUM({name} & {HALF - 1})" for name in ("bytes", "units", "elapsed"))
OVERFLOW = "integer overflow"
RAW = "SELECT time, consumer_id, route_id, status, elapsed, MAX(bytes, 0), units FROM event WHERE "

# A range of roll-ups is scanned whole when all keys in it are wanted, and sought bucket by bucket when only some are.
SEEK = """FROM (
    WITH RECURSIVE bucket (at) AS (SELECT ? UNION ALL SELECT at + ? FROM bucket WHERE at + ? < ?) SELECT at FROM bucket)
    CROSS JOIN rollup WHERE kind = ? AND grain = ? AND start = at"""
# The plus keeps SQLite from going through all events of the time instead of those above the watermark.
UNFOLDED = "seq > ? AND +time >= ? AND +time < ?"


def reading(connection: sqlite3.Connection) -> Reading:
    """The snapshot that a connection is in."""
    return Reading(
        select=partial(select, connection),
        rolled=partial(_rolled, connection),
        columns=partial(_columns, connection),
        unfolded=UNFOLDED,
    )


def select(connection: sqlite3.Connection, sql: str, values: Sequence[Any]) -> list[Any]:
    """Run a SELECT; see ``Select``."""
    return connection.execute(sql, values).fetchall()


def _columns(connection: sqlite3.Connection, condition: str, values: Sequence[Any]) -> Columns:
    return Columns.from_rows(connection.execute(f"{RAW}{condition}", values).fetchall())


def _rolled(
    connection: sqlite3.Connection, query: UsageQuery, kind: Kind, condition: Condition, span: tuple[int, int, int]
) -> Iterable[Group]:
    grain, start, end = span
    columns = "".join(f", {COLUMN[dimension]}" for dimension in query.group_by)
    bucket, bucket_values = bucket_of_time(query, "start")
    if condition.on_consumer or condition.on_route:
        source, values = SEEK, [start, grain, grain, end, kind.code, grain]
    else:
        source, values = SCAN, [kind.code, grain, start, end]
    positions = ", ".join(str(index + 1) for index in range(1 + len(query.group_by)))
    # What is put into the text are the constants above; every value is bound.
    statement = (
        f"SELECT {bucket}{columns}, {'merge_all_sketches(sketch)' if query.sketches else 'NULL'}, SUM(requests),"
        f" SUM(CASE WHEN status >= {FIRST_ERROR_STATUS} THEN requests ELSE 0 END), SUM(timed), {{sums}}"
        f" {source}{condition.sql} GROUP BY {positions if query.step is not None else positions[3:] or 'NULL'}"
    )
    width = 1 + len(query.group_by)
    for row in _summed(connection, statement, (*bucket_values, *values, *condition.values)):
        sketch, requests, errors, timed, size, units, elapsed = row[width:]
        if requests:
            totals = Totals(
                requests=requests,
                errors=errors,
                bytes=size,
                units=units,
                timed=timed,
                elapsed=elapsed,
                sketch=sketch or b"",
            )
            yield row[0], row[1:width], totals


def _summed(connection: sqlite3.Connection, statement: str, values: Sequence[Any]) -> Iterable[tuple[Any, ...]]:
    """The rows of a statement with the sums at its end, however large these are."""
    try:
        return connection.execute(statement.format(sums=SUMS), values).fetchall()
    except sqlite3.OperationalError as error:
        if OVERFLOW not in str(error):
            raise
    rows = connection.execute(statement.format(sums=BIG_SUMS), values)
    return ((*row[:-6], *(high * HALF + low for high, low in zip(row[-6::2], row[-5::2], strict=True))) for row in rows)
