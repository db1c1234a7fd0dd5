"""Who called, and how often, packed: a few rows stand for the calls of many consumers.

Consumers go by blocks of consecutive numbers. In the roll-up of a block, the sketch counts the requests of each member
instead of latencies: it merges as every sketch does, and is exact.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from tollkeeper.metering.sketch import PAIR

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

__all__ = ["BLOCK", "requests_by_consumer"]

BLOCK = 1_024
"""So many that few rows answer, so few that a row, which each call of a member writes anew, fits into two pages."""


def requests_by_consumer(
    blocks: Sequence[int], sketches: Sequence[bytes]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The numbers of those who called, in order, and their requests; a block may come more than once."""
    known, places = np.unique(np.array(blocks, np.int64), return_inverse=True)
    pairs: NDArray[Any] = np.frombuffer(b"".join(sketches), PAIR)
    sizes = np.fromiter(map(len, sketches), np.int64, len(sketches)) // PAIR.itemsize
    members = np.repeat(places * BLOCK, sizes) + pairs["bucket"]
    requests = np.bincount(members, weights=pairs["count"], minlength=len(known) * BLOCK).astype(np.int64)
    numbers = np.add.outer(known * BLOCK, np.arange(BLOCK)).ravel()
    return numbers[requests > 0], requests[requests > 0]
