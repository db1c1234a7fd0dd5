"""What every door shares: from options and settings to a sink and a recorder, and what can be asked of them."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from tollkeeper.capture.options import CaptureOptions, Options, read_options
from tollkeeper.capture.queue import QueueLimits, Stats
from tollkeeper.capture.recorder import Recorder
from tollkeeper.capture.spool.spool import Spool
from tollkeeper.settings import SETTINGS, load_settings
from tollkeeper.sinks.url import sink_from_url

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tollkeeper.settings import Settings
    from tollkeeper.sinks.base import Sink

__all__ = ["Door"]

_logger = logging.getLogger("tollkeeper")


class Door:
    """Holds the options of an app's capture, and opens its sink when the app is known.

    ``sink`` is a URL or a Sink; without it, the setting ``sink``; with neither a warning is logged once and nothing is
    recorded. Raises ConfigurationError, at set-up only, when an argument, a setting or the sink's URL is wrong.
    """

    def __init__(self, sink: str | Sink | None, options: Options) -> None:
        self.sink: Sink | str | None = sink
        self._options: CaptureOptions = read_options(options)
        self._spool = options.get("spool")
        self._recorder: Recorder | None = None

    def flush(self, timeout: float | None = None) -> bool:
        """Wait until the requests so far have been delivered; False when some still wait after ``timeout`` seconds."""
        return self._recorder is None or self._recorder.flush(timeout)

    def close(self, timeout: float | None = None) -> bool:
        """Deliver what waits and stop; the exit of the process does it too. False when something was lost by that."""
        return self._recorder is None or self._recorder.close(timeout)

    def stats(self) -> Stats:
        """Count what this process captured, and what became of it."""
        return Stats() if self._recorder is None else self._recorder.stats()

    def _open(self, config: Mapping[str, Any] | None = None) -> Recorder | None:
        """The recorder, made at the first call; ``config`` may hold ``TOLLKEEPER_*`` settings of the app."""
        if self._recorder is not None:
            return self._recorder
        config = config or {}
        settings = load_settings(**{row.name: config.get(row.variable) for row in SETTINGS})
        sink = self.sink or settings.sink
        if not sink:
            _logger.warning("Tollkeeper records nothing: give it a sink, or set TOLLKEEPER_SINK=sqlite:///usage.db.")
            return None
        self.sink = sink_from_url(sink, token=settings.token) if isinstance(sink, str) else sink
        folder = self._spool or settings.spool
        spool = Spool(folder, max_bytes=settings.spool_bytes) if folder else None
        self._recorder = Recorder(self.sink.send, self.sink.close, self._options, _limits(settings), spool)
        return self._recorder


def _limits(settings: Settings) -> QueueLimits:
    return QueueLimits(
        events=settings.queue_events,
        bytes=settings.queue_bytes,
        batch_events=settings.batch_events,
        flush_seconds=settings.flush_seconds,
        spool_seconds=settings.spool_seconds,
        shutdown_seconds=settings.shutdown_seconds,
    )
