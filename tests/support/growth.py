"""How the cost of work grows with what it works on: no clock of the wall, and no figure of a machine."""

from __future__ import annotations

import gc
import time
from functools import partial
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["cost", "grows_linearly"]

TIMES, LEAST_ATTEMPTS, ATTEMPTS = 4, 3, 12
AT_MOST = 10
"""What grows with the square takes 16 times as long for four times as much."""
TICK = 0.001


def grows_linearly(work: Callable[[int], object], size: int) -> bool:
    """Whether ``work(size)`` costs this thread about four times what a quarter of it costs, seconds of CPU compared.

    The least of some attempts counts, and of more where these do not say so: a busy machine may slow down any of them.
    """
    large, small = float("inf"), float("inf")
    for attempt in range(1, ATTEMPTS + 1):
        large = min(large, cost(partial(work, size)) + TICK)
        small = min(small, cost(partial(work, size // TIMES)) + TICK)
        if attempt >= LEAST_ATTEMPTS and large < AT_MOST * small:
            return True
    return False


def cost(work: Callable[[], object]) -> float:
    """Seconds of CPU that some work takes in this thread, without the collector: what other tests left is large."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        began = time.thread_time()
        work()
        return time.thread_time() - began
    finally:
        if was_enabled:
            gc.enable()
