"""Usage from roll-ups, completed from raw events where these end: exact for any range, at any moment."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from msgspec.structs import replace

from tollkeeper.metering.rollup import GRAINS, Columns, Kind, roll_up
from tollkeeper.metering.usage import Totals, UsageRow
from tollkeeper.metering.window import Cover, cover
from tollkeeper.store.sqlite.filters import condition_for

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable, Iterator

    from tollkeeper.metering.usage import UsageQuery
    from tollkeeper.store.sqlite.filters import Condition

__all__ = ["count_consumers", "kind_for", "read_usage"]

FIRST_ERROR_STATUS = 400
HALF = 2**32
# SUM fails over 64 bits: the halves of each number are added up, and put together here.
BIG_SUMS = ", ".join(f"SUM({name} >> 32), SUM({name} & {HALF - 1})" for name in ("bytes", "units", "elapsed"))
COLUMN = {"route": "route_id", "consumer": "consumer_id", "status": "status"}
RAW = "SELECT time, consumer_id, route_id, status, elapsed, MAX(bytes, 0), units FROM event"

# A range of roll-ups is scanned whole when all keys in it are wanted, and sought bucket by bucket when only some are.
SCAN = "FROM rollup WHERE kind = ? AND grain = ? AND start >= ? AND start < ?"
SEEK = """FROM (
    WITH RECURSIVE bucket (at) AS (SELECT ? UNION ALL SELECT at + ? FROM bucket WHERE at + ? < ?) SELECT at FROM bucket)
    CROSS JOIN rollup WHERE kind = ? AND grain = ? AND start = at"""

Groups = dict[tuple[int, tuple[int, ...]], Totals]
"""What is known so far, by start of the bucket and by the numbers of the group."""


def read_usage(connection: sqlite3.Connection, query: UsageQuery) -> list[UsageRow]:
    """Answer a query within one snapshot."""
    condition = condition_for(connection, query.filters)
    if condition.impossible:
        return []
    if query.largest is not None:
        # To rank all groups takes no sketches, and to read the sketches takes only the groups that are shown.
        ranked = _groups(connection, replace(query, sketches=False), condition)
        least = query.least([totals.requests for totals in ranked.values()])
        numbers = [key[0] for (_, key), totals in ranked.items() if totals.requests >= least]
        condition = condition.among(COLUMN[query.group_by[0]], numbers)
    groups = _groups(connection, query, condition)
    names = _names(connection, query, groups)
    return [
        UsageRow(
            start=start,
            key=tuple(names[dimension][number] for dimension, number in zip(query.group_by, key, strict=True)),
            totals=totals,
        )
        for (start, key), totals in sorted(groups.items(), key=lambda item: item[0])
    ]


def count_consumers(connection: sqlite3.Connection, query: UsageQuery) -> dict[int, int]:
    """Count who called in each bucket, within one snapshot; calls of nobody that is known do not count."""
    condition = condition_for(connection, query.filters)
    if condition.impossible:
        return {}
    kind = kind_for(by_route=condition.on_route, by_consumer=True)
    plan = cover(query.start, query.end, query.step, GRAINS[kind])
    bucket, values = _bucket(query, "start")
    pairs, bound = [], []
    for grain, start, end in plan.rolled:
        pairs.append(f"SELECT {bucket} AS bucket, consumer_id {SCAN}{condition.sql}")
        bound += [*values, kind.code, grain, start, end, *condition.values]
    bucket, values = _bucket(query, "time")
    for where, limits in _raw_parts(plan):
        pairs.append(f"SELECT {bucket} AS bucket, consumer_id FROM event WHERE {where}{condition.sql}")
        bound += [*values, *limits, *condition.values]
    counted = f"SELECT bucket, COUNT(DISTINCT consumer_id) FROM ({' UNION ALL '.join(pairs)})"
    return dict(connection.execute(f"{counted} WHERE consumer_id > 0 GROUP BY bucket", bound).fetchall())


def _groups(connection: sqlite3.Connection, query: UsageQuery, condition: Condition) -> Groups:
    kind = kind_for(
        by_route="route" in query.group_by or condition.on_route,
        by_consumer="consumer" in query.group_by or condition.on_consumer,
    )
    plan = cover(query.start, query.end, query.step, GRAINS[kind])
    groups: Groups = {}
    for grain, start, end in plan.rolled:
        _merge(groups, _rolled(connection, query, kind, condition, (grain, start, end)))
    for where, limits in _raw_parts(plan):
        _merge(groups, _raw(connection, query, f"{RAW} WHERE {where}{condition.sql}", (*limits, *condition.values)))
    return groups


def _raw_parts(plan: Cover) -> Iterator[tuple[str, tuple[int, int]]]:
    """Where raw events answer: at the edges that no grain fits, and for all that is not folded yet."""
    for span in plan.raw:
        yield "time >= ? AND time < ?", span
    if plan.rolled_span:
        yield "seq > (SELECT seq FROM watermark) AND +time >= ? AND +time < ?", plan.rolled_span


def _bucket(query: UsageQuery, column: str) -> tuple[str, tuple[int, ...]]:
    return ("?", (query.start,)) if query.step is None else (f"({column} / ?) * ?", (query.step, query.step))


def kind_for(*, by_route: bool, by_consumer: bool) -> Kind:
    """The roll-up whose key tells apart what is asked, and nothing else."""
    return next(kind for kind in GRAINS if (kind.route, kind.consumer) == (by_route, by_consumer))


def _rolled(
    connection: sqlite3.Connection, query: UsageQuery, kind: Kind, condition: Condition, span: tuple[int, int, int]
) -> Iterable[tuple[int, tuple[int, ...], Totals]]:
    grain, start, end = span
    columns = "".join(f", {COLUMN[dimension]}" for dimension in query.group_by)
    bucket, bucket_values = _bucket(query, "start")
    if condition.on_consumer or condition.on_route:
        source, values = SEEK, [start, grain, grain, end, kind.code, grain]
    else:
        source, values = SCAN, [kind.code, grain, start, end]
    positions = ", ".join(str(index + 1) for index in range(1 + len(query.group_by)))
    # What is put into the text are the constants above; every value is bound.
    rows = connection.execute(
        f"SELECT {bucket}{columns}, SUM(requests),"
        f" SUM(CASE WHEN status >= {FIRST_ERROR_STATUS} THEN requests ELSE 0 END),"
        f" SUM(timed), {BIG_SUMS},"
        f" {'merge_all_sketches(sketch)' if query.sketches else 'NULL'}"
        f" {source}{condition.sql} GROUP BY {positions if query.step is not None else positions[3:] or 'NULL'}",
        (*bucket_values, *values, *condition.values),
    )
    for at, *rest in rows:
        key, sums = rest[: len(query.group_by)], rest[len(query.group_by) :]
        if sums[0]:
            requests, errors, timed, *halves, sketch = sums
            size, units, elapsed = (high * HALF + low for high, low in zip(halves[::2], halves[1::2], strict=True))
            yield (
                at,
                tuple(key),
                Totals(
                    requests=requests,
                    errors=errors,
                    bytes=size,
                    units=units,
                    timed=timed,
                    elapsed=elapsed,
                    sketch=sketch or b"",
                ),
            )


def _raw(
    connection: sqlite3.Connection, query: UsageQuery, sql: str, values: tuple[Any, ...]
) -> Iterable[tuple[int, tuple[int, ...], Totals]]:
    rows = connection.execute(sql, values).fetchall()
    columns = Columns.from_rows(rows)
    step = query.step
    starts = columns.time // step * step if step is not None else np.full(len(rows), query.start, dtype=np.int64)
    by_route, by_consumer = "route" in query.group_by, "consumer" in query.group_by
    for part in roll_up(columns, starts, by_route=by_route, by_consumer=by_consumer):
        numbers = {"route": part.route, "consumer": part.consumer, "status": part.status}
        totals = Totals(
            requests=part.requests,
            errors=part.requests if part.status >= FIRST_ERROR_STATUS else 0,
            bytes=part.bytes,
            units=part.units,
            timed=part.timed,
            elapsed=part.elapsed,
            sketch=part.sketch if query.sketches else b"",
        )
        yield part.start, tuple(numbers[dimension] for dimension in query.group_by), totals


def _merge(groups: Groups, parts: Iterable[tuple[int, tuple[int, ...], Totals]]) -> None:
    for start, key, totals in parts:
        known = groups.get((start, key))
        groups[start, key] = totals if known is None else known + totals


def _names(connection: sqlite3.Connection, query: UsageQuery, groups: Groups) -> dict[str, dict[int, Any]]:
    """What the numbers of each dimension in the answer stand for."""
    names: dict[str, dict[int, Any]] = {}
    for position, dimension in enumerate(query.group_by):
        numbers = {key[position] for _, key in groups}
        names[dimension] = {number: number for number in numbers}
        if dimension == "route":
            names[dimension] = {
                number: (method, template, api or None, version or None)
                for number, method, template, api, version in connection.execute(
                    f"SELECT route_id, method, template, api, api_version FROM route"
                    f" WHERE route_id IN ({', '.join(map(str, numbers))})"
                )
            }
        elif dimension == "consumer":
            names[dimension] = {0: None} | {
                number: (key, label)
                for number, key, label in connection.execute(
                    f"SELECT consumer_id, key, label FROM consumer"
                    f" WHERE consumer_id IN ({', '.join(map(str, numbers))})"
                )
            }
    return names
