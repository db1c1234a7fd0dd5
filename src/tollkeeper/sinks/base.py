"""The port that captured events leave by."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tollkeeper.events.event import UsageEvent

__all__ = ["Sink"]


class Sink(Protocol):
    """Where events go. It is called from one thread at a time, and must survive a fork between two calls."""

    def send(self, events: Sequence[UsageEvent]) -> None:
        """Take a batch: durable when this returns, counted once by ``(source, id)`` however often it is sent.

        Raises:
            SinkError: it was not taken; ``retry`` says whether to send it again, ``retry_after`` in how many seconds.
        """
        ...

    def close(self) -> None:
        """Let go of files and connections; idempotent, and a later ``send`` opens them again."""
        ...
