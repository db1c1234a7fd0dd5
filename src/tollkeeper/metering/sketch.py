"""A latency sketch: counts in logarithmic buckets, so that any two merge and every percentile is within 1 %.

DDSketch (Masson, Rim, Lee 2019) with a fixed mapping: bucket ``i`` holds microseconds in ``(g^(i-1), g^i]``, where
``g = 1.01 / 0.99``. Packed as sorted pairs of 16-bit bucket and 32-bit count: merging is concatenating and summing.
A count stays at its largest value rather than begin anew.
"""

from __future__ import annotations

import math
import struct
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

Sketch = bytes
"""Sorted pairs of bucket and count; empty when nothing was measured."""

__all__ = ["bucket_of", "compact_sketch", "merge_sketches", "pack_sketch", "quantile"]

GAMMA = 1.01 / 0.99
LOG_GAMMA = math.log(GAMMA)
PACKED_PAIR = struct.Struct("<HI")
MAX_COUNT = 2**32 - 1
SMALL_BYTES = 40 * PACKED_PAIR.size
PAIR = np.dtype([("bucket", "<u2"), ("count", "<u4")])


def bucket_of(elapsed: NDArray[np.int64]) -> NDArray[np.int64]:
    """The buckets of latencies in microseconds; everything up to 1 µs falls into bucket 0."""
    return np.ceil(np.log(np.maximum(elapsed, 1)) / LOG_GAMMA).astype(np.int64)


def pack_sketch(buckets: NDArray[np.int64], counts: NDArray[np.int64] | None = None) -> bytes:
    """Pack bucket numbers, each as often as ``counts`` says (None: once), into a sketch."""
    if not len(buckets):
        return b""
    totals = np.bincount(buckets, weights=counts)
    used = np.flatnonzero(totals)
    pairs = np.empty(len(used), PAIR)
    pairs["bucket"] = used
    pairs["count"] = np.minimum(totals[used], MAX_COUNT)
    return pairs.tobytes()


def merge_sketches(sketches: Iterable[bytes]) -> bytes:
    """The sketch of all that the given sketches hold; order does not matter."""
    filled = [sketch for sketch in sketches if sketch]
    if len(filled) <= 1:
        return filled[0] if filled else b""
    if sum(map(len, filled)) <= SMALL_BYTES:
        return _merge_small(filled)
    return compact_sketch(b"".join(filled))


def compact_sketch(sketches: bytes) -> bytes:
    """The sketch of all that sketches in a row hold."""
    pairs: NDArray[Any] = np.frombuffer(sketches, PAIR)
    return pack_sketch(pairs["bucket"].astype(np.int64), pairs["count"].astype(np.int64))


def _merge_small(sketches: list[bytes]) -> bytes:
    """Merge without numpy, which takes longer to call than a few pairs take to add."""
    counts: dict[int, int] = {}
    for sketch in sketches:
        for bucket, count in PACKED_PAIR.iter_unpack(sketch):
            counts[bucket] = min(counts.get(bucket, 0) + count, MAX_COUNT)
    return b"".join([PACKED_PAIR.pack(bucket, counts[bucket]) for bucket in sorted(counts)])


def quantile(sketch: bytes, q: float) -> float | None:
    """The latency in seconds that a share ``q`` of all is at or below, within 1 %; None when there is none.

    The rank is ``floor(q * (n - 1))`` of the sorted latencies, as in numpy's method ``lower``.
    """
    pairs: NDArray[Any] = np.frombuffer(sketch, PAIR)
    if not len(pairs):
        return None
    cumulated = np.cumsum(pairs["count"], dtype=np.int64)
    rank = math.floor(q * (int(cumulated[-1]) - 1))
    bucket = int(pairs["bucket"][np.searchsorted(cumulated, rank, side="right")])
    return 2 * GAMMA**bucket / (GAMMA + 1) / 1e6 if bucket else 1e-6
