"""The observer behind every door: takes finished exchanges, and makes, queues and delivers their events."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Literal

from msgspec import Struct

from tollkeeper.capture.document import build_event
from tollkeeper.capture.log import QuietLog
from tollkeeper.capture.queue import Queue, QueueLimits, Stats
from tollkeeper.capture.redact import Redactor

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tollkeeper.capture.exchange import Exchange
    from tollkeeper.events.event import UsageEvent

__all__ = ["CaptureOptions", "Level", "Recorder"]

Level = Literal["metadata", "headers", "bodies"]


class CaptureOptions(Struct, frozen=True, kw_only=True):
    """What is kept of a request; ``max_body_bytes`` bounds each JSON body, a larger one is left out whole."""

    level: Level = "bodies"
    max_body_bytes: int = 16 * 2**10
    deny: tuple[str, ...] = ()
    trust_proxy: bool = False


class Recorder:
    """Owns the queue of a door; ``observe`` and ``fail`` never raise, block or reach the host. Safe in threads."""

    def __init__(
        self,
        send: Callable[[Sequence[UsageEvent]], None],
        close_sink: Callable[[], None],
        options: CaptureOptions,
        limits: QueueLimits,
    ) -> None:
        self.options = options
        self.log = QuietLog()
        build = partial(build_event, redactor=Redactor(options.deny))
        self._queue: Queue[Exchange] = Queue(build, send, close_sink, limits)

    def observe(self, exchange: Exchange) -> None:
        """Hand over a finished exchange; the door does not touch it any more."""
        try:
            self._queue.put(exchange, exchange.weight())
        except Exception as error:  # noqa: BLE001 - nothing of ours reaches the host
            self.fail(error)

    def fail(self, error: Exception) -> None:
        """Count an exchange that could not be observed, and say why in the log."""
        self._queue.lost("error")
        self.log.tell("observe", "Tollkeeper could not observe a request.", error=error)

    def flush(self, timeout: float | None = None) -> bool:
        """Wait until what was observed so far has left; False when some of it still waits."""
        return self._queue.flush(timeout)

    def close(self, timeout: float | None = None) -> bool:
        """Deliver what waits and end; False when something was lost by that."""
        return self._queue.close(timeout)

    def stats(self) -> Stats:
        """Count what became of everything that this process observed."""
        return self._queue.stats()
