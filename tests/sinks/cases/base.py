"""What the conformance suite asks of each sink that it tests."""

from __future__ import annotations

from abc import ABC, abstractmethod
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, ClassVar

from tollkeeper.events.event import UsageEvent

if TYPE_CHECKING:
    from pathlib import Path

    from support.servers.process import ServerProcess
    from tollkeeper.sinks.base import Sink

__all__ = ["Case", "Documents", "event"]

Documents = dict[tuple[str, str], Any]


def event(name: str, **facts: object) -> UsageEvent:
    """An event of the source ``app``; ``facts`` are fields of it."""
    given = {
        "source": "app",
        "time": datetime(2024, 5, 1, tzinfo=UTC),
        "method": "GET",
        "path": "/",
        "status_code": 200,
    }
    return UsageEvent(id=name, **(given | facts))  # type: ignore[arg-type]  # a test's own fields


class Case(ABC):
    """A sink and a fresh place at its backend, for one test. What a class does not say that it can is not asked of it.

    Each module of this package has one subclass, named ``Case``; a backend that is not on the machine skips the test
    when the case is made.
    """

    keeps_documents: ClassVar[bool] = True
    """Whether ``documents`` gives back whole events; else ``count`` must be its own."""
    counts_once: ClassVar[bool] = True
    """Whether an event that is sent twice counts once."""
    outlives_process: ClassVar[bool] = True
    """Whether what one process sent can be read by another."""
    has_server: ClassVar[bool] = False
    """Whether ``server`` can be stopped."""
    has_password: ClassVar[bool] = False
    """Whether ``intruder`` makes a sink that is not let in."""
    driver: ClassVar[tuple[str, str] | None] = None
    """The module that must be there, and the extra of Tollkeeper that installs it."""
    poison: ClassVar[dict[str, object] | None] = None
    """Facts of an event that the backend will never take."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @abstractmethod
    def make(self, *, timeout: float = 10.0) -> Sink:
        """Make another sink for the same place."""

    @abstractmethod
    def documents(self) -> Documents:
        """All that arrived, by source and id; raises when an event is there twice."""

    def count(self) -> int:
        """How many events arrived, those that are there twice counted twice."""
        return len(self.documents())

    def expected(self, sent: UsageEvent) -> Any:
        """What ``documents`` holds of an event that was sent."""
        return sent.document()

    @property
    def server(self) -> ServerProcess:
        """The process of the backend; skips the test when it is not ours to stop."""
        raise NotImplementedError

    def intruder(self, password: str) -> Sink:
        """Make a sink with a wrong password."""
        raise NotImplementedError

    def close(self) -> None:
        """Let go of what the case holds."""
        return
