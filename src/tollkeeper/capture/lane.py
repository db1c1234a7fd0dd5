"""The way of events to one sink: its queue, its spool where there is one, and what became of them on it."""

from __future__ import annotations

import time
from collections import Counter
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

from msgspec import Struct
from msgspec.structs import replace

from tollkeeper.capture.late import LateQueue
from tollkeeper.capture.spool.forwarder import Forwarder
from tollkeeper.capture.spool.spool import Spool

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tollkeeper.capture.queue import Queue, QueueLimits, Stats
    from tollkeeper.events.event import UsageEvent
    from tollkeeper.log import QuietLog

__all__ = ["Destination", "Lane", "Takes"]

Item = TypeVar("Item")


class Takes(Protocol):
    """What capture needs of a sink; it may also count events in ``rejected``."""

    def send(self, events: Sequence[UsageEvent]) -> None:
        """Take a batch."""
        ...

    def close(self) -> None:
        """Let go of files and connections."""
        ...


class Destination(Struct, frozen=True, eq=False):
    """A sink, and the spool in which its events wait."""

    sink: Takes
    spool: Spool | None = None

    def send(self, events: Sequence[UsageEvent]) -> int:
        """Send a batch; gives how many events of it the sink rejected for good, which its ``rejected`` counts."""
        before = self._rejected()
        self.sink.send(events)
        return min(max(0, self._rejected() - before), len(events))

    def _rejected(self) -> int:
        try:
            count = getattr(self.sink, "rejected", 0)
        except Exception:  # noqa: BLE001 - a sink is the user's; what it has taken must not be sent again
            return 0
        return count if isinstance(count, int) else 0


class Lane(Generic[Item]):
    """Owns the queue and the thread of one sink. All lanes in the list ``together`` are closed by one deadline."""

    def __init__(
        self,
        to: Destination,
        build: Callable[[Item], UsageEvent | None],
        limits: QueueLimits,
        log: QuietLog,
        *,
        together: list[Queue[Item]],
    ) -> None:
        send: Callable[[Sequence[UsageEvent]], int | None] = to.send
        close_sink = to.sink.close
        self._forwarder: Forwarder | None = None
        if to.spool is not None:
            self._forwarder = Forwarder(to.spool, send, close_sink, limits, log)
            send, close_sink = self._forwarder.send, self._forwarder.close
            # Half of the time to wait for company, half of it to make the batch at leisure.
            limits = replace(limits, flush_seconds=min(limits.flush_seconds, limits.spool_seconds / 2))
        self.queue = LateQueue(build, send, close_sink, limits, log, together=together)

    def flush(self, timeout: float | None = None) -> bool:
        """Wait until what was put so far has left; False when some of it still waits."""
        if self._forwarder is None:
            return self.queue.flush(timeout)
        began = time.monotonic()
        if not self.queue.flush(timeout):
            return False
        return self._forwarder.flush(None if timeout is None else max(0.0, timeout - (time.monotonic() - began)))

    def stats(self) -> Stats:
        """Count what became of everything that was put."""
        # The spool's first: what it has let go of was captured before that.
        spool = None if self._forwarder is None else self._forwarder.stats()
        stats = self.queue.stats()
        if spool is None:
            return stats
        dropped = Counter(stats.dropped) + Counter(spool.own.dropped)
        # A batch may be on its way from one to the other: what neither has let go of is still queued.
        gone = stats.excluded + spool.own.sent + spool.own.spooled + dropped.total()
        return replace(
            stats,
            sent=spool.own.sent,
            spooled=spool.own.spooled,
            queued=stats.captured - gone,
            adopted=spool.adopted.sent,
            retries=stats.retries + spool.retries,
            dropped=dict(dropped),
        )
