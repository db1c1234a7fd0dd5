"""What several sinks share: each event is made once, and their counts are added up."""

from __future__ import annotations

import threading
from collections import Counter
from typing import TYPE_CHECKING, Generic, TypeVar

from msgspec.structs import replace

from tollkeeper.capture.queue import QueueLimits, Stats

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tollkeeper.events.event import UsageEvent

__all__ = ["Shared", "add_up", "divided"]

Item = TypeVar("Item")
SUMMED = ("captured", "sent", "queued", "spooled", "excluded", "adopted", "retries")


class Shared(Generic[Item]):
    """An item in the queues of several sinks, of which the first that needs its event makes it. Safe in threads."""

    __slots__ = ("_error", "_event", "_item", "_lock")

    def __init__(self, item: Item) -> None:
        self._item: Item | None = item
        self._event: UsageEvent | None = None
        self._error: BaseException | None = None
        self._lock = threading.Lock()

    def event(self, build: Callable[[Item], UsageEvent | None]) -> UsageEvent | None:
        """The event as ``build`` makes it, or what that raises; None when it is to be left out."""
        with self._lock:
            item, self._item = self._item, None  # the event takes its place in memory
            if item is not None:
                try:
                    self._event = build(item)
                except BaseException as error:  # noqa: BLE001 - raised below, for each sink
                    self._error = error
        if self._error is not None:
            raise self._error
        return self._event


def divided(limits: QueueLimits, count: int) -> QueueLimits:
    """What each of ``count`` queues may hold, so that all of them hold no more than ``limits`` says."""
    return replace(limits, events=max(1, limits.events // count), bytes=max(1, limits.bytes // count))


def add_up(sinks: Mapping[str, Stats], errors: Mapping[str, int]) -> Stats:
    """The sum of what each sink counts, and of the ``errors`` that belong to none of them."""
    told = sum((Counter(stats.errors) for stats in sinks.values()), Counter(errors))
    dropped = sum((Counter(stats.dropped) for stats in sinks.values()), Counter[str]())
    sums = {name: sum(getattr(stats, name) for stats in sinks.values()) for name in SUMMED}
    return Stats(**sums, dropped=dict(dropped), errors=dict(told), sinks=dict(sinks))
