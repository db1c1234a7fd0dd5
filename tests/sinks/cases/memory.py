from __future__ import annotations

from typing import TYPE_CHECKING

from sinks.cases import base
from tollkeeper.sinks.memory import MemorySink

if TYPE_CHECKING:
    from pathlib import Path

    from tollkeeper.sinks.base import Sink


class Case(base.Case):
    outlives_process = False

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self._sink = MemorySink()

    def make(self, *, timeout: float = 10.0) -> Sink:  # noqa: ARG002 - it waits for nobody
        return self._sink

    def documents(self) -> base.Documents:
        found = {(event.source, event.id): event.document() for event in self._sink.events}
        assert len(found) == len(self._sink.events)
        return found
