"""From columns of raw events to mergeable partial sums, one per key, all of it vectorised."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from tollkeeper.metering.callers import BLOCK
from tollkeeper.metering.sketch import PAIR, Sketch, bucket_of
from tollkeeper.metering.window import DAY, HOUR, QUARTER, TEN_DAYS

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence


__all__ = ["GRAINS", "Columns", "Kind", "Partial", "roll_up"]

ALL = 0
"""The id that stands for all routes, or for all consumers, in the key of a roll-up."""


class Kind(Struct, frozen=True):
    """A roll-up that answers one question: ``code`` names it in the store, the flags say what its key tells apart.

    One that is ``packed`` tells blocks of consumers apart; see ``metering.callers``.
    """

    code: int
    route: bool
    consumer: bool
    packed: bool = False


GRAINS: dict[Kind, tuple[int, ...]] = {
    Kind(0, route=False, consumer=False): (QUARTER, HOUR, DAY, TEN_DAYS),
    Kind(1, route=True, consumer=False): (QUARTER, HOUR, DAY, TEN_DAYS),
    Kind(2, route=False, consumer=True): (HOUR, DAY, TEN_DAYS),
    Kind(3, route=True, consumer=True): (HOUR, DAY, TEN_DAYS),
    Kind(4, route=False, consumer=True, packed=True): (HOUR, DAY, TEN_DAYS),
}
"""Each kind of roll-up with the widths of its buckets, in microseconds."""


class Columns(Struct, frozen=True):
    """Events as columns of 64-bit integers; times in µs, ``elapsed`` negative when not measured, micro-units."""

    time: NDArray[np.int64]
    consumer: NDArray[np.int64]
    route: NDArray[np.int64]
    status: NDArray[np.int64]
    elapsed: NDArray[np.int64]
    bytes: NDArray[np.int64]
    units: NDArray[np.int64]

    @classmethod
    def from_rows(cls, rows: Sequence[Sequence[int]]) -> Columns:
        """Turn rows of seven integers, in the order of the fields, into columns."""
        table = np.array(rows, dtype=np.int64).reshape(len(rows), 7)
        return cls(*np.ascontiguousarray(table.T))


class Partial(Struct, frozen=True):
    """What the events of one key add up to; the key is ``(start, consumer, route, status)``."""

    start: int
    consumer: int
    route: int
    status: int
    requests: int
    bytes: int
    units: int
    timed: int
    elapsed: int
    sketch: Sketch


def roll_up(
    columns: Columns, starts: NDArray[np.int64], *, by_route: bool, by_consumer: bool, packed: bool = False
) -> Iterator[Partial]:
    """Sum events by the start of their bucket, status and, where asked, route and consumer (``ALL`` otherwise)."""
    if not len(columns.time):
        return
    everything = np.full(len(starts), ALL, dtype=np.int64)
    consumer = columns.consumer if by_consumer else everything
    route = columns.route if by_route else everything
    timed = columns.elapsed >= 0
    bucket = np.where(timed, bucket_of(columns.elapsed), -1)
    if packed:
        consumer, bucket = np.divmod(consumer, BLOCK)
    order = np.lexsort((bucket, columns.status, route, consumer, starts))
    keys = np.stack((starts, consumer, route, columns.status))[:, order]
    first = _run_starts(keys)
    sums = [
        np.add.reduceat(values[order], first).tolist()
        for values in (columns.bytes, columns.units, timed.astype(np.int64), np.where(timed, columns.elapsed, 0))
    ]
    counts = np.diff(first, append=len(order)).tolist()
    sketches = _sketches(keys, bucket[order], first)
    heads = keys[:, first].tolist()
    for start, who, what, status, count, size, units, measured, elapsed, sketch in zip(
        *heads, counts, *sums, sketches, strict=True
    ):
        yield Partial(start, who, what, status, count, size, units, measured, elapsed, sketch)


def _run_starts(keys: NDArray[np.int64]) -> NDArray[np.intp]:
    changes = np.any(keys[:, 1:] != keys[:, :-1], axis=0)
    return np.concatenate(([0], np.flatnonzero(changes) + 1))


def _sketches(keys: NDArray[np.int64], bucket: NDArray[np.int64], first: NDArray[np.intp]) -> list[bytes]:
    """One sketch for each run of equal keys, cut out of a single buffer; untimed events leave no pair."""
    pair_starts = _run_starts(np.vstack((keys, bucket)))
    counts = np.diff(pair_starts, append=len(bucket))
    used = bucket[pair_starts] >= 0
    pairs: NDArray[Any] = np.empty(int(used.sum()), PAIR)
    pairs["bucket"] = bucket[pair_starts][used]
    pairs["count"] = counts[used]
    ends = np.searchsorted(pair_starts[used], np.append(first[1:], len(bucket))) * PAIR.itemsize
    packed = pairs.tobytes()
    cuts = [0, *ends.tolist()]
    return [packed[begin:end] for begin, end in pairwise(cuts)]
