from __future__ import annotations

from collections import Counter

from hypothesis import given, settings
from hypothesis import strategies as st

from tollkeeper.metering.callers import requests_by_consumer
from tollkeeper.metering.rollup import Columns, roll_up
from tollkeeper.metering.sketch import merge_sketches

# Blocks beside one another, and one far away, as numbers of a database may be.
consumers = st.lists(st.integers(0, 3_000) | st.integers(2**31 - 300, 2**31 - 1), max_size=80)


def counted(rows: list[tuple[int, bytes]]) -> dict[int, int]:
    numbers, requests = requests_by_consumer([block for block, _ in rows], [sketch for _, sketch in rows])
    assert numbers.tolist() == sorted(numbers.tolist())
    return dict(zip(numbers.tolist(), requests.tolist(), strict=True))


def packed(calls: list[int]) -> list[tuple[int, bytes]]:
    columns = Columns.from_rows([(1, who, 7, 200 if who % 2 else 404, -1, 0, 0) for who in calls])
    parts = roll_up(columns, columns.time, by_route=False, by_consumer=True, packed=True)
    return [(part.consumer, part.sketch) for part in parts]


@settings(deadline=None)
@given(consumers, consumers)
def test_every_request_of_everyone_is_counted_and_blocks_merge_as_sketches_do(
    calls: list[int], later: list[int]
) -> None:
    rows = [*packed(calls), *packed(later)]
    parts: dict[int, list[bytes]] = {}
    for block, sketch in rows:
        parts.setdefault(block, []).append(sketch)

    assert counted(rows) == Counter(calls) + Counter(later)
    assert counted([(block, merge_sketches(sketches)) for block, sketches in parts.items()]) == counted(rows)
