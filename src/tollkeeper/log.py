"""What capture has to say to the operator of the host app, without flooding or ever raising."""

from __future__ import annotations

import logging
import threading
import time
from contextlib import suppress

__all__ = ["QuietLog"]

QUIET_SECONDS = 60.0


class QuietLog:
    """Counts each kind of trouble, and logs it at most once a minute; safe in threads, never raises.

    ``about`` goes before each message; ``beside`` is another log, which starts anew when this one does.
    """

    def __init__(self, logger: str = "tollkeeper", *, about: str = "", beside: QuietLog | None = None) -> None:
        self._logger = logging.getLogger(logger)
        self._about = about.replace("%", "%%")
        self._beside = beside
        self.reset()

    def reset(self) -> None:
        """Start anew, in the child of a fork: its counts are its own, and nobody there holds the lock."""
        self._lock = threading.RLock()  # re-entrant, because a finaliser of the host may end a request anywhere
        self._next: dict[str, float] = {}
        self._counts: dict[str, int] = {}
        if self._beside is not None:
            self._beside.reset()

    def tell(self, kind: str, message: str, *args: object, error: BaseException | None = None) -> None:
        """Warn of ``message % args``, with the traceback of ``error``, unless ``kind`` was told in the last minute."""
        now = time.monotonic()
        with self._lock:
            self._counts[kind] = self._counts.get(kind, 0) + 1
            if now < self._next.get(kind, 0.0):
                return
            self._next[kind] = now + QUIET_SECONDS
        text = self._about + message
        with suppress(Exception):  # a handler of the host may fail; the request that it belongs to may not
            self._logger.warning(text, *args, exc_info=error)

    def counts(self) -> dict[str, int]:
        """How often each kind was told, or would have been."""
        with self._lock:
            return dict(self._counts)
