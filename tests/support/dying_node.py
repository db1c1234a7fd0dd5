"""A service that dies as by a power cut at its first commit of events: ``before`` it, or ``after`` it, unanswered."""

from __future__ import annotations

import os
import signal
import sys
from typing import TYPE_CHECKING, Any

import msgspec
import uvicorn

from tollkeeper.api.app import create_app
from tollkeeper.service.bootstrap import open_service
from tollkeeper.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tollkeeper.store.protocols import EventStore

__all__ = ["DyingStore", "main"]


class DyingStore:
    """An event store that takes its process with it."""

    def __init__(self, store: EventStore, when: str) -> None:
        self._store = store
        self._when = when

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    def append(self, batches: Sequence[Any]) -> None:
        """Die."""
        if self._when == "after":
            self._store.append(batches)
        os.kill(os.getpid(), signal.SIGKILL)


def main(url: str, when: str, port: int) -> None:
    """Serve a store until the first report comes."""
    service = open_service(Settings(store=url))
    dying: Any = DyingStore(service.events, when)
    app = create_app(msgspec.structs.replace(service, events=dying))
    uvicorn.run(app, host="127.0.0.1", port=port, log_level="error")


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
