"""Taking events in: many requests share one durable commit."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from tollkeeper.errors import StoreError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tollkeeper.events.codec import DecodedBatch
    from tollkeeper.events.receipt import Receipt

    Pending = tuple[str, DecodedBatch, asyncio.Future[Receipt]]

__all__ = ["GroupCommit"]

GROUP_EVENTS = 5_000
WAITING_EVENTS = 100_000


class GroupCommit:
    """Gathers the batches that arrive while one commit is under way and stores them together in the next.

    Belongs to one event loop. A batch that the store refuses fails alone: its group is then stored batch by batch.
    """

    def __init__(self, append: Callable[[Sequence[tuple[str, DecodedBatch]]], list[Receipt]]) -> None:
        self._append = append
        self._pending: list[Pending] = []
        self._waiting = 0
        self._committing = False
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="tollkeeper-commit")

    async def submit(self, source: str, batch: DecodedBatch) -> Receipt:
        """Store a batch; returns after its durable commit. Raises StoreError when it is not stored or too many wait."""
        if self._waiting + batch.received > WAITING_EVENTS:
            raise StoreError("Too many events wait for the store: send the batch again in a moment.", code="overloaded")
        future: asyncio.Future[Receipt] = asyncio.get_running_loop().create_future()
        self._pending.append((source, batch, future))
        self._waiting += batch.received
        if not self._committing:
            self._start()
        return await future

    def close(self) -> None:
        """Wait for the commit that is under way."""
        self._thread.shutdown()

    def _start(self) -> None:
        group: list[Pending] = []
        events = 0
        while self._pending and (not group or events + self._pending[0][1].received <= GROUP_EVENTS):
            group.append(self._pending.pop(0))
            events += group[-1][1].received
        self._committing = True
        done = asyncio.get_running_loop().run_in_executor(self._thread, self._commit, [entry[:2] for entry in group])
        done.add_done_callback(lambda finished: self._finish(group, events, finished))

    def _finish(self, group: list[Pending], events: int, finished: asyncio.Future[list[Receipt | Exception]]) -> None:
        self._waiting -= events
        self._committing = False
        for (_, _, future), outcome in zip(group, finished.result(), strict=True):
            if future.done():
                continue
            if isinstance(outcome, Exception):
                future.set_exception(outcome)
            else:
                future.set_result(outcome)
        if self._pending:
            self._start()

    def _commit(self, batches: list[tuple[str, DecodedBatch]]) -> list[Receipt | Exception]:
        """Runs on the committing thread."""
        try:
            return list(self._append(batches))
        except Exception as error:  # noqa: BLE001  # each request must get its answer, whatever went wrong
            if len(batches) == 1:
                return [error]
            return [outcome for batch in batches for outcome in self._commit([batch])]
