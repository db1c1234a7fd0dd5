"""The port that captured events leave by."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol, TypeAlias

if TYPE_CHECKING:
    from tollkeeper.events.event import UsageEvent

__all__ = ["Sink", "Sinks"]


class Sink(Protocol):
    """Where events go. It is called from one thread at a time, and must survive a fork between two calls.

    A sink whose destination refuses events one by one may count them in an attribute ``rejected: int``, which only
    grows: by how much it grew in a ``send`` that returns, so many events of that batch count as rejected, not as sent.
    One behind which there is a gate has ``leases(seconds)``, which gives what takes leases there, with such a timeout.
    One that can be named by a URL has a class method ``from_url(url)``, which raises ConfigurationError and opens
    nothing.
    """

    def send(self, events: Sequence[UsageEvent]) -> None:
        """Take a batch: durable when this returns, counted once by ``(source, id)`` however often it is sent.

        Raises:
            SinkError: it was not taken; ``retry`` says whether to send it again, ``retry_after`` in how many seconds.
        """
        ...

    def close(self) -> None:
        """Let go of files and connections; idempotent, and a later ``send`` opens them again."""
        ...


Sinks: TypeAlias = str | Sink | Sequence[str | Sink]
"""What a door takes: a URL, a sink, or several of them."""
