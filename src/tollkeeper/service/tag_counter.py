"""Counting the uses of tags: many requests share one durable commit."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from tollkeeper.errors import NotFoundError, StoreError

if TYPE_CHECKING:
    from tollkeeper.store.protocols import Tags

    Pending = tuple[str, datetime, asyncio.Future[int | None]]

__all__ = ["TagCounter"]

GROUP_USES = 1_000
WAITING_USES = 20_000


class TagCounter:
    """Gathers the uses that arrive while one commit is under way and counts them together in the next.

    Belongs to one event loop. A commit that failed is not tried again, because it may have gone through, and nothing
    must be counted twice: all of its uses fail.
    """

    def __init__(self, tags: Tags) -> None:
        self._tags = tags
        self._pending: list[Pending] = []
        self._committing = False
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="tollkeeper-tags")

    async def use(self, tag_id: str) -> int:
        """Count one use; the new count, after its durable commit.

        Raises NotFoundError when there is no such tag, StoreError when it is not known to be counted or too many wait.
        """
        if len(self._pending) >= WAITING_USES:
            raise StoreError("Too many uses of tags wait for the store: come again in a moment.", code="overloaded")
        future: asyncio.Future[int | None] = asyncio.get_running_loop().create_future()
        self._pending.append((tag_id, datetime.now(UTC), future))
        if not self._committing:
            self._start()
        count = await future
        if count is None:
            raise NotFoundError(f"There is no tag {tag_id[:100]!r}: make it with POST /v1/tags.")
        return count

    def close(self) -> None:
        """Wait for the commit that is under way."""
        self._thread.shutdown()

    def _start(self) -> None:
        group, self._pending = self._pending[:GROUP_USES], self._pending[GROUP_USES:]
        self._committing = True
        uses = [(tag_id, at) for tag_id, at, _ in group]
        done = asyncio.get_running_loop().run_in_executor(self._thread, self._count, uses)
        done.add_done_callback(lambda finished: self._finish(group, finished))

    def _finish(self, group: list[Pending], finished: asyncio.Future[list[int | None] | Exception]) -> None:
        self._committing = False
        outcome = finished.result()
        for place, (_, _, future) in enumerate(group):
            if future.done():  # whoever asked is gone
                continue
            if isinstance(outcome, Exception):
                future.set_exception(outcome)
            else:
                future.set_result(outcome[place])
        if self._pending:
            self._start()

    def _count(self, uses: list[tuple[str, datetime]]) -> list[int | None] | Exception:
        """Runs on the committing thread."""
        try:
            return self._tags.use(uses)
        except Exception as error:  # noqa: BLE001  # each request must get its answer, whatever went wrong
            return error
