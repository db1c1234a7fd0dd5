"""What every door shares: from options and settings to sinks and a recorder, and what can be asked of them."""

from __future__ import annotations

import hashlib
import logging
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tollkeeper.capture.gate.opening import open_guard
from tollkeeper.capture.lane import Destination
from tollkeeper.capture.options import CaptureOptions, Options, read_options
from tollkeeper.capture.queue import QueueLimits, Stats
from tollkeeper.capture.recorder import Recorder
from tollkeeper.capture.redact import Redactor
from tollkeeper.capture.spool.spool import Spool
from tollkeeper.errors import ConfigurationError
from tollkeeper.events.redaction import redact_url
from tollkeeper.settings import SETTINGS, load_settings
from tollkeeper.sinks.url import sink_from_url

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Iterable, Mapping

    from tollkeeper.capture.gate.guard import Guard
    from tollkeeper.settings import Settings
    from tollkeeper.sinks.base import Sink, Sinks

__all__ = ["Door"]

# Before a scheme only: a path may hold spaces.
BETWEEN_URLS = re.compile(r"\s+(?=[A-Za-z][A-Za-z0-9+.-]*:)")


class Door:
    """Holds the options of an app's capture, and opens its sinks when the app is known.

    ``sink`` is a URL, a Sink, or a sequence of these; a text may hold several URLs, with spaces between them. Without
    it, the setting ``sink``; with neither a warning is logged once and nothing is recorded. Once opened, ``sinks`` has
    them by the names that the counts have, and ``sink`` is the sink, or the list of them. Raises ConfigurationError, at
    set-up only, when an argument, a setting or the URL of a sink is wrong.
    """

    logger = "tollkeeper"
    redactor = Redactor
    spool_place = ""

    def __init__(self, sink: Sinks | None, options: Options) -> None:
        self.sink: Any = sink
        self.sinks: dict[str, Sink] = {}
        self._options: CaptureOptions = read_options(options)
        self._spool = options.get("spool")
        self._recorder: Recorder | None = None
        self._guard: Guard | None = None
        self._gated = self._options.gate
        self._open_guard: Callable[[], Guard] | None = None

    def flush(self, timeout: float | None = None) -> bool:
        """Wait until the requests so far have been delivered; False when some still wait after ``timeout`` seconds."""
        return self._recorder is None or self._recorder.flush(timeout)

    def close(self, timeout: float | None = None) -> bool:
        """Deliver what waits and stop; the exit of the process does it too. False when something was lost by that."""
        if self._guard is not None:
            self._guard.gate.close()
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
        wanted = _listed(self.sink) or _listed(settings.sink)
        if not wanted:
            self._open_guard = _no_guard
            if self._gated:
                _no_guard()
            logging.getLogger(self.logger).warning(
                "Tollkeeper records nothing: give it a sink, or set TOLLKEEPER_SINK=sqlite:///usage.db."
            )
            return None
        made = [sink_from_url(one, token=settings.token) if isinstance(one, str) else one for one in wanted]
        spool = self._spool or settings.spool
        spools = _spools(spool and Path(spool) / self.spool_place, wanted, settings.spool_bytes)
        names = _unique(map(_kind, made))
        self.sinks = dict(zip(names, made, strict=True))
        self.sink = made[0] if len(made) == 1 else made
        self._recorder = Recorder(
            dict(zip(names, map(Destination, made, spools), strict=True)),
            self._options,
            _limits(settings),
            logger=self.logger,
            redactor=self.redactor,
        )
        sources = [sink_from_url(settings.gate, token=settings.token)] if settings.gate else made
        log = self._recorder.log
        self._open_guard = lambda: open_guard(sources, settings, self._options, log, spool=spool)
        if self._gated:
            self._guard = self._open_guard()
        return self._recorder

    def _require_gate(self) -> None:
        """Have a gate, as soon as the app is known; raises ConfigurationError when there is no service to ask."""
        self._gated = True
        if self._guard is None and self._open_guard is not None:
            self._guard = self._open_guard()


def _no_guard() -> Guard:
    raise ConfigurationError("The gate needs a sink: give it a service as http://HOST:PORT, or set TOLLKEEPER_SINK.")


def _listed(sink: Sinks | None) -> list[str | Sink]:
    """URLs and sinks one by one; raises ConfigurationError for what is neither, and for what is there twice."""
    given = sink if isinstance(sink, list | tuple) else [] if sink is None else [sink]
    found: list[Any] = []
    for one in given:
        if not isinstance(one, str) and not _is_sink(one):
            raise ConfigurationError(f"{type(one).__name__} is no sink: give a URL or an object with send and close.")
        parts: list[Any] = [part for part in BETWEEN_URLS.split(one.strip()) if part] if isinstance(one, str) else [one]
        for part in parts:
            if any(part is other or (isinstance(part, str) and part == other) for other in found):
                raise ConfigurationError("A sink is there twice: name each of them once.")
            found.append(part)
    return found


def _is_sink(one: Any) -> bool:
    return not isinstance(one, type) and all(callable(getattr(one, name, None)) for name in ("send", "close"))


def _unique(names: Iterable[str]) -> list[str]:
    """The names, the second ``mysql`` as ``mysql-2``."""
    found: list[str] = []
    for name in names:
        number, one = 1, name
        while one in found:
            number += 1
            one = f"{name}-{number}"
        found.append(one)
    return found


def _kind(sink: Sink) -> str:
    return type(sink).__name__.strip("_").removesuffix("Sink").lower() or "sink"


def _spools(folder: str | os.PathLike[str] | None, wanted: list[str | Sink], max_bytes: int) -> list[Spool | None]:
    """A spool for each sink: a single one has all of the folder."""
    if not folder:
        return [None] * len(wanted)
    if len(wanted) == 1:
        return [Spool(folder, max_bytes=max_bytes)]
    share = max(1, max_bytes // len(wanted))
    return [Spool(Path(folder) / place, max_bytes=share) for place in _unique(map(_place, wanted))]


def _place(sink: str | Sink) -> str:
    """Name the folder of a sink: the same in whatever order sinks are named, and with whatever password."""
    if not isinstance(sink, str):
        return _kind(sink)
    return f"{sink.partition(':')[0].partition('+')[0]}-{hashlib.sha256(redact_url(sink).encode()).hexdigest()[:8]}"


def _limits(settings: Settings) -> QueueLimits:
    return QueueLimits(
        events=settings.queue_events,
        bytes=settings.queue_bytes,
        batch_events=settings.batch_events,
        flush_seconds=settings.flush_seconds,
        spool_seconds=settings.spool_seconds,
        shutdown_seconds=settings.shutdown_seconds,
    )
