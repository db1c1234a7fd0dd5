"""Running jobs when they are due."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from tollkeeper.service.job_runs import run_due

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tollkeeper.service.job_runs import Job
    from tollkeeper.store.protocols import RecordStore

__all__ = ["Scheduler"]


def _now() -> datetime:
    return datetime.now(UTC)


class Scheduler:
    """Runs jobs one after the other; a time that was missed is made up for once, however many were. Not for threads."""

    def __init__(self, store: RecordStore, jobs: Sequence[Job], now: Callable[[], datetime] = _now) -> None:
        self._store = store
        self._jobs = jobs
        self._now = now
        self._done: dict[str, datetime] = {}

    def tick(self) -> bool:
        """Run what is due and was not run; never more to do at once."""
        for job in self._jobs:
            at = job.schedule.latest(self._now())
            # One that another process is at is looked at again: that process may die.
            if self._done.get(job.name) != at and run_due(self._store, job, at).state != "running":
                self._done[job.name] = at
        return False
