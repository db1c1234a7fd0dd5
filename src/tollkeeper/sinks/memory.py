"""Keep events in this process: for tests, and to look at what is captured."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tollkeeper.events.event import UsageEvent

__all__ = ["MemorySink"]


class MemorySink:
    """Holds every event, unbounded, in order of arrival. Safe in threads."""

    def __init__(self) -> None:
        self._events: dict[tuple[str, str], UsageEvent] = {}
        self._lock = threading.Lock()

    @property
    def events(self) -> list[UsageEvent]:
        """What was sent so far, as a copy."""
        with self._lock:
            return list(self._events.values())

    def send(self, events: Sequence[UsageEvent]) -> None:
        """Keep a batch; what is already there is kept as it is."""
        with self._lock:
            for event in events:
                self._events.setdefault((event.source, event.id), event)

    def close(self) -> None:
        """Do nothing: what was sent can still be read."""
