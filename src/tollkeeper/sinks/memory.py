"""Keep events in this process: for tests, and to look at what is captured."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Self

from tollkeeper.events.lease import Grant, LeaseAnswer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tollkeeper.events.event import UsageEvent
    from tollkeeper.events.lease import LeaseRequest

__all__ = ["MemorySink"]

WELCOME_SECONDS = 10.0


class MemorySink:
    """Holds every event, unbounded, in order of arrival. Safe in threads."""

    place = "memory"

    def __init__(self) -> None:
        self._events: dict[tuple[str, str], UsageEvent] = {}
        self._lock = threading.Lock()

    @classmethod
    def from_url(cls, _url: str) -> Self:
        """Make the sink of ``memory:``."""
        return cls()

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

    def leases(self, _seconds: float) -> Self:
        """Be the service of a gate that limits nobody."""
        return self

    def exchange(self, request: LeaseRequest) -> LeaseAnswer:
        """Welcome every call."""
        return LeaseAnswer(grants=[Grant(seconds=WELCOME_SECONDS) for _ in request.take])

    def close(self) -> None:
        """Do nothing: what was sent can still be read."""
