from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from tollkeeper.metering.sketch import PAIR, bucket_of, merge_sketches, pack_sketch, quantile

latencies = st.lists(st.integers(0, 31_536_000_000_000), max_size=200)


def sketch_count(sketch: bytes) -> int:
    return int(np.frombuffer(sketch, PAIR)["count"].sum())


def sketch_of(values: list[int]) -> bytes:
    return pack_sketch(bucket_of(np.array(values, dtype=np.int64)))


@given(st.lists(latencies, max_size=5))
def test_a_merge_is_the_sketch_of_all(parts: list[list[int]]) -> None:
    everything = [value for part in parts for value in part]
    merged = merge_sketches(sketch_of(part) for part in parts)

    assert merged == sketch_of(everything)
    assert sketch_count(merged) == len(everything)
    assert merged == merge_sketches([merge_sketches(map(sketch_of, parts[:2])), *map(sketch_of, parts[2:])])


@given(st.lists(st.integers(2, 31_536_000_000_000), min_size=1, max_size=200), st.floats(0, 1))
def test_a_percentile_is_within_one_per_cent(values: list[int], q: float) -> None:
    exact = float(np.quantile(values, q, method="lower")) / 1e6
    estimate = quantile(sketch_of(values), q)

    assert estimate is not None
    assert abs(estimate - exact) <= 0.0101 * exact


def test_nothing_measured_has_no_percentile() -> None:
    assert quantile(b"", 0.5) is None
    assert sketch_count(b"") == 0
    assert quantile(sketch_of([0, 1]), 1.0) == 1e-6


def test_a_count_stays_at_the_largest_that_there_is() -> None:
    most = 2**32 - 1
    full, one = np.array([(7, most), (9, 1)], PAIR).tobytes(), np.array([(7, 1)], PAIR).tobytes()
    wide = pack_sketch(np.arange(100))
    assert merge_sketches([full, one]) == full
    assert dict(np.frombuffer(merge_sketches([full, one, wide]), PAIR).tolist()) == dict.fromkeys(range(100), 1) | {
        7: most,
        9: 2,
    }
