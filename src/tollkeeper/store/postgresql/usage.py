"""How PostgreSQL reads roll-ups and events for a question of usage."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from tollkeeper.metering.sketch import compact_sketch
from tollkeeper.metering.usage import Totals
from tollkeeper.store.postgresql.select import read_columns, select
from tollkeeper.store.sql.buckets import COLUMN, FIRST_ERROR_STATUS, SCAN, bucket_of_time
from tollkeeper.store.sql.reading import Reading

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tollkeeper.metering.rollup import Kind
    from tollkeeper.metering.usage import UsageQuery
    from tollkeeper.store.postgresql.sessions import Session
    from tollkeeper.store.sql.filters import Condition
    from tollkeeper.store.sql.reading import Group

__all__ = ["reading"]

SUMS = f"""
    SUM(requests), SUM(requests) FILTER (WHERE status >= {FIRST_ERROR_STATUS}), SUM(bytes), SUM(units), SUM(timed),
    SUM(elapsed)
"""
# Some keys of a range are sought bucket by bucket; OFFSET keeps the planner from going through all of the range.
SEEK = """FROM generate_series(?::bigint, ?::bigint, ?::bigint) AS bucket (at) CROSS JOIN LATERAL (
    SELECT * FROM rollup WHERE kind = ? AND grain = ? AND start = at{condition} OFFSET 0) AS rollup"""
UNFOLDED = "seq > ? AND time >= ? AND time < ?"


def reading(session: Session) -> Reading:
    """The snapshot that a session is in."""
    return Reading(
        select=partial(select, session),
        rolled=partial(_rolled, session),
        columns=partial(read_columns, session),
        unfolded=UNFOLDED,
    )


def _rolled(
    session: Session, query: UsageQuery, kind: Kind, condition: Condition, span: tuple[int, int, int]
) -> Iterable[Group]:
    grain, start, end = span
    bucket, bucket_values = bucket_of_time(query, "start")
    keys = [COLUMN[dimension] for dimension in query.group_by]
    limits: tuple[int, ...]
    if condition.on_consumer or condition.on_route:
        one = "" if kind.consumer else " AND consumer_id = 0"  # the key of the index goes by consumer first
        source = SEEK.format(condition=f"{one}{condition.sql}")
        limits = start, end - 1, grain, kind.code, grain
    else:
        source = f"{SCAN}{condition.sql}"
        limits = kind.code, grain, start, end
    groups = ", ".join(str(index + 1) for index in range(query.step is None, 1 + len(keys)))
    # What is put into the text are the constants above; every value is bound.
    sketches = "string_agg(sketch, '')" if query.sketches else "NULL"
    grouping = f" GROUP BY {groups}" if groups else ""
    rows = select(
        session,
        f"SELECT {', '.join([bucket, *keys])}, {sketches}, {SUMS} {source}{grouping}",
        (*bucket_values, *limits, *condition.values),
    )
    for at, *rest in rows:
        key, (sketch, *sums) = tuple(rest[: len(keys)]), rest[len(keys) :]
        if sums[0]:
            requests, errors, size, units, timed, elapsed = (int(value or 0) for value in sums)
            totals = Totals(
                requests=requests,
                errors=errors,
                bytes=size,
                units=units,
                timed=timed,
                elapsed=elapsed,
                sketch=compact_sketch(sketch or b""),
            )
            yield int(at), key, totals
