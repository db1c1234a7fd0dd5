"""Who called in a span, and how often: from packed roll-ups and, where these end, from events."""

from __future__ import annotations

from collections import defaultdict
from itertools import groupby
from operator import itemgetter
from typing import TYPE_CHECKING

import numpy as np

from tollkeeper.metering.callers import requests_by_consumer
from tollkeeper.metering.rollup import GRAINS, roll_up
from tollkeeper.metering.window import cover
from tollkeeper.store.sql.buckets import SCAN, bucket_of_time, kind_for
from tollkeeper.store.sql.dimensions import NOBODY
from tollkeeper.store.sql.filters import condition_for
from tollkeeper.store.sql.reading import raw_columns, raw_parts

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from numpy.typing import NDArray

    from tollkeeper.metering.usage import UsageQuery
    from tollkeeper.store.sql.filters import Condition
    from tollkeeper.store.sql.reading import Reading

__all__ = ["count_consumers", "largest_consumers"]

Row = tuple[int, int, bytes]
"""The start of a bucket, the number of a block of consumers, and what its members called."""


def count_consumers(reading: Reading, query: UsageQuery) -> dict[int, int]:
    """Count who called in each bucket, within one snapshot; calls of nobody that is known do not count."""
    condition = condition_for(reading.select, query.filters)
    if condition.impossible:
        return {}
    if condition.on_route or condition.on_consumer:
        return _count_keys(reading, query, condition)
    counts = {
        start: int(np.count_nonzero(_requests(rows)[0] != NOBODY))
        for start, rows in _packed(reading, query, condition).items()
    }
    return {start: count for start, count in counts.items() if count}


def largest_consumers(reading: Reading, query: UsageQuery, condition: Condition) -> list[int]:
    """The numbers of the ``largest`` of a query in one bucket, whose condition is on neither route nor consumer."""
    packed = _packed(reading, query, condition)
    numbers, requests = _requests(packed.get(query.start, []))
    return [int(number) for number in numbers[requests >= query.least(requests.tolist())]]


def _requests(rows: Sequence[Row]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    return requests_by_consumer(list(map(itemgetter(1), rows)), list(map(itemgetter(2), rows)))


def _packed(reading: Reading, query: UsageQuery, condition: Condition) -> dict[int, list[Row]]:
    """The rows of each bucket."""
    found: defaultdict[int, list[Row]] = defaultdict(list)
    for rows in _parts(reading, query, condition):
        for start, group in groupby(rows, itemgetter(0)):
            found[start] += group
    return found


def _parts(reading: Reading, query: UsageQuery, condition: Condition) -> Iterator[Iterable[Row]]:
    kind = kind_for(by_route=False, by_consumer=True, packed=True)
    plan = cover(query.start, query.end, query.step, GRAINS[kind])
    bucket, bucket_values = bucket_of_time(query, "start")
    for grain, start, end in plan.rolled:
        values = *bucket_values, kind.code, grain, start, end, *condition.values
        yield reading.select(f"SELECT {bucket}, consumer_id, sketch {SCAN}{condition.sql}", values)
    for columns, starts in raw_columns(reading, query, condition, plan):
        parts = roll_up(columns, starts, by_route=False, by_consumer=True, packed=True)
        yield ((part.start, part.consumer, part.sketch) for part in parts)


def _count_keys(reading: Reading, query: UsageQuery, condition: Condition) -> dict[int, int]:
    """Count consumers by the keys of roll-ups: packed ones do not tell routes apart."""
    kind = kind_for(by_route=condition.on_route, by_consumer=True)
    plan = cover(query.start, query.end, query.step, GRAINS[kind])
    bucket, values = bucket_of_time(query, "start")
    pairs, bound = [], []
    for grain, start, end in plan.rolled:
        pairs.append(f"SELECT {bucket} AS bucket, consumer_id {SCAN}{condition.sql}")
        bound += [*values, kind.code, grain, start, end, *condition.values]
    bucket, values = bucket_of_time(query, "time")
    for where, limits in raw_parts(reading, plan):
        pairs.append(f"SELECT {bucket} AS bucket, consumer_id FROM event WHERE {where}{condition.sql}")
        bound += [*values, *limits, *condition.values]
    counted = f"SELECT bucket, COUNT(DISTINCT consumer_id) FROM ({' UNION ALL '.join(pairs)}) AS pairs"
    return dict(reading.select(f"{counted} WHERE consumer_id > {NOBODY} GROUP BY bucket", bound))
