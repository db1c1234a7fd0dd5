"""Batches whose way through a sink leaves room for the threads of the host."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["SLICE_SECONDS", "Unhurried"]

Item = TypeVar("Item")

SLICE_SECONDS = 0.0001
"""For how long a thread of ours runs Python at a time; an item that takes longer is not parted."""
TURN_SECONDS = 0.00005  # for others to wake up; a sink may hold a lock, for which other processes wait


class Unhurried(list[Item]):
    """A batch that lets the host's threads run again and again while a sink goes through it.

    What a sink does for each of its events adds up. A driver that leaves Python for moments only is back before another
    thread has woken up, which then waits for as long as five milliseconds; so this thread sleeps after each slice.
    """

    def __iter__(self) -> Iterator[Item]:
        began = time.perf_counter()
        for item in super().__iter__():
            yield item
            if time.perf_counter() - began >= SLICE_SECONDS:
                time.sleep(TURN_SECONDS)
                began = time.perf_counter()
