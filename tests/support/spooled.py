"""Events and a sink for tests of the spool: what arrives, how often, and in which order."""

from __future__ import annotations

import threading
import time
from collections import Counter
from typing import TYPE_CHECKING

from tollkeeper.events.event import UsageEvent
from tollkeeper.events.timestamps import EPOCH

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from pathlib import Path

    from tollkeeper.capture.spool.spool import Spool

__all__ = ["Taker", "drain", "events", "segments", "wait_for"]


def events(*names: object, size: int = 0) -> list[UsageEvent]:
    """One event for each name, about ``size`` bytes larger than they must be."""
    path = "/" + "x" * size
    return [
        UsageEvent(id=str(name), source="s", time=EPOCH, method="GET", path=path, status_code=200) for name in names
    ]


class Taker:
    """A sink that remembers each id as often as it took it, after it has raised ``failures`` in turn."""

    def __init__(self, failures: Iterable[BaseException] = ()) -> None:
        self.ids: list[str] = []
        self.batches: list[int] = []
        self.attempts = 0
        self.closed = 0
        self.gate = threading.Event()
        self.gate.set()
        self.failures = iter(failures)

    def send(self, batch: Sequence[UsageEvent]) -> None:
        self.attempts += 1
        self.gate.wait(20)
        for failure in self.failures:
            raise failure
        self.ids += [event.id for event in batch]
        self.batches.append(len(batch))

    def close(self) -> None:
        self.closed += 1

    @property
    def twice(self) -> list[str]:
        return [name for name, count in Counter(self.ids).items() if count > 1]


def drain(spool: Spool, limit: int = 1000) -> list[str]:
    """Read and settle all that a spool holds or can adopt, and give the ids."""
    found: list[str] = []
    while True:
        spool.adopt()
        batch = spool.next_batch(limit, 2**30)
        if batch is None:
            return found
        found += [event.id for event in batch.events]
        spool.settle(batch)


def segments(path: Path) -> list[Path]:
    """The files in the folders of a spool."""
    return sorted(path.glob("*/*.spool"))


def wait_for(condition: Callable[[], object], seconds: float = 20) -> None:
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.005)
