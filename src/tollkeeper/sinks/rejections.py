"""Count and tell what a destination refused for good, one event at a time."""

from __future__ import annotations

import logging
import time
from contextlib import suppress

__all__ = ["Rejections"]

QUIET_SECONDS = 60.0


class Rejections:
    """``count`` events were refused by the destination that is ``shown`` (an address without secrets) and are lost."""

    def __init__(self, shown: str, logger: str = "tollkeeper") -> None:
        self.count = 0
        self._shown = shown
        self._logger = logging.getLogger(logger)
        self._quiet_until = 0.0

    def add(self, count: int, why: str) -> None:
        """Count more, and say so in the log, at most once a minute."""
        self.count += count
        now = time.monotonic()
        if now < self._quiet_until:
            return
        self._quiet_until = now + QUIET_SECONDS
        message = "%s rejected events, %d so far; the last one for: %s"
        with suppress(Exception):  # a handler of the host may fail
            self._logger.warning(message, self._shown, self.count, why)
