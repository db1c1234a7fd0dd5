"""What capture has to say to the operator of the host app, without flooding or ever raising."""

from __future__ import annotations

import logging
import time
from contextlib import suppress

__all__ = ["QuietLog"]

QUIET_SECONDS = 60.0


class QuietLog:
    """Logs each kind of trouble to the logger ``tollkeeper`` at most once a minute; safe in threads, never raises."""

    def __init__(self) -> None:
        self._logger = logging.getLogger("tollkeeper")
        self._next: dict[str, float] = {}

    def tell(self, kind: str, message: str, *args: object, error: BaseException | None = None) -> None:
        """Warn of ``message % args``, with the traceback of ``error``, unless ``kind`` was told in the last minute."""
        now = time.monotonic()
        if now < self._next.get(kind, 0.0):
            return
        self._next[kind] = now + QUIET_SECONDS
        with suppress(Exception):  # a handler of the host may fail; the request that it belongs to may not
            self._logger.warning(message, *args, exc_info=error)
