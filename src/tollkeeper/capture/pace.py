"""When the thread that delivers works: in short slices, each of them soon after a request was over."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from tollkeeper.unhurried import SLICE_SECONDS

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["breathe"]

# Few, as to be woken up takes as long as to make an event, and as long as that they meet the next answer where 160 come
# a second: so each event is made after an answer, and none when a request may be on its way.
PAUSES_SECONDS = (0.0002, 0.0004, 0.0008, 0.0016, 0.0032)
LEISURE, ENOUGH = 0.2, 0.5
GROWTH = 50


def breathe(
    began: float, waiting: Callable[[], int], room: int, hurried: Callable[[], bool], leisure_until: float
) -> float:
    """Let the host's threads run after a slice of work that ``began``; gives when the next one does (``perf_counter``).

    Only one thread runs Python at a time, and a request that arrives in the middle of a slice waits for the rest of it.
    When one has just been answered, the next is seldom there yet. So a slice begins when ``waiting`` has grown, which
    says how many requests are to be delivered, or after 6 ms in which it has not.

    Nobody waits for that after ``leisure_until`` (``monotonic``), or when a fifth of the ``room`` is taken, from where
    on slices grow; and there are no pauses at all when it is half full, or while it is ``hurried``.
    """
    before = waiting()
    filled = before / room
    if time.perf_counter() - began < SLICE_SECONDS * (1 + GROWTH * max(0.0, filled - LEISURE)):
        return began
    for pause in PAUSES_SECONDS:
        if filled >= ENOUGH or hurried():
            break
        time.sleep(pause)
        if waiting() != before or filled >= LEISURE or time.monotonic() >= leisure_until:
            break
    return time.perf_counter()
