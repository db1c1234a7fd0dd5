"""Usage from roll-ups, completed from raw events where these end: exact for any range, at any moment."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from tollkeeper.metering.rollup import GRAINS, roll_up
from tollkeeper.metering.usage import Totals, UsageRow
from tollkeeper.metering.window import cover
from tollkeeper.store.sql.buckets import COLUMN, FIRST_ERROR_STATUS, kind_for
from tollkeeper.store.sql.callers import largest_consumers
from tollkeeper.store.sql.filters import condition_for
from tollkeeper.store.sql.reading import raw_columns

if TYPE_CHECKING:
    from collections.abc import Iterable

    import numpy as np
    from numpy.typing import NDArray

    from tollkeeper.metering.rollup import Columns
    from tollkeeper.metering.usage import UsageQuery
    from tollkeeper.store.sql.filters import Condition
    from tollkeeper.store.sql.reading import Group, Reading, Select

__all__ = ["read_usage"]

Groups = dict[tuple[int, tuple[int, ...]], Totals]
"""What is known so far, by start of the bucket and by the numbers of the group."""


def read_usage(reading: Reading, query: UsageQuery) -> list[UsageRow]:
    """Answer a query within one snapshot."""
    condition = condition_for(reading.select, query.filters)
    if condition.impossible:
        return []
    if query.largest is not None:
        # To rank all groups takes their requests alone, and to read the rest takes only the groups that are shown.
        condition = condition.among(COLUMN[query.group_by[0]], _largest(reading, query, condition))
        if condition.impossible:
            return []
    groups = _groups(reading, query, condition)
    names = _names(reading.select, query, groups)
    keys = {
        key: tuple(names[dimension][number] for dimension, number in zip(query.group_by, key, strict=True))
        for key in {key for _, key in groups}
    }
    return [UsageRow(start=place[0], key=keys[place[1]], totals=groups[place]) for place in sorted(groups)]


def _largest(reading: Reading, query: UsageQuery, condition: Condition) -> list[int]:
    if query.group_by == ("consumer",) and not (condition.on_route or condition.on_consumer):
        return largest_consumers(reading, query, condition)
    ranked = _groups(reading, replace(query, sketches=False), condition)
    least = query.least([totals.requests for totals in ranked.values()])
    return [key[0] for (_, key), totals in ranked.items() if totals.requests >= least]


def _groups(reading: Reading, query: UsageQuery, condition: Condition) -> Groups:
    kind = kind_for(
        by_route="route" in query.group_by or condition.on_route,
        by_consumer="consumer" in query.group_by or condition.on_consumer,
    )
    plan = cover(query.start, query.end, query.step, GRAINS[kind])
    groups: Groups = {}
    for span in plan.rolled:
        _merge(groups, reading.rolled(query, kind, condition, span))
    for columns, starts in raw_columns(reading, query, condition, plan):
        _merge(groups, _raw(query, columns, starts))
    return groups


def _raw(query: UsageQuery, columns: Columns, starts: NDArray[np.int64]) -> Iterable[Group]:
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


def _merge(groups: Groups, parts: Iterable[Group]) -> None:
    for start, key, totals in parts:
        known = groups.get((start, key))
        groups[start, key] = totals if known is None else known + totals


def _names(select: Select, query: UsageQuery, groups: Groups) -> dict[str, dict[int, Any]]:
    """What the numbers of each dimension in the answer stand for."""
    names: dict[str, dict[int, Any]] = {}
    for position, dimension in enumerate(query.group_by):
        numbers = {key[position] for _, key in groups}
        listed = ", ".join(map(str, numbers))
        names[dimension] = {number: number for number in numbers}
        if dimension == "route" and numbers:
            query_routes = (
                f"SELECT route_id, method, template, api, api_version FROM route WHERE route_id IN ({listed})"
            )
            names[dimension] = {
                number: (method, template, api or None, version or None)
                for number, method, template, api, version in select(query_routes, ())
            }
        elif dimension == "consumer" and numbers:
            query_consumers = f"SELECT consumer_id, key, label FROM consumer WHERE consumer_id IN ({listed})"
            names[dimension] = {0: None} | {number: (key, label) for number, key, label in select(query_consumers, ())}
    return names
