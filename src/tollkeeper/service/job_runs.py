"""Runs of jobs: each due time has one, whoever gets to it first, and one that died with its process is run again."""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from tollkeeper.errors import TollkeeperError
from tollkeeper.events.ids import record_id
from tollkeeper.events.timestamps import EPOCH
from tollkeeper.store.operations import JobRun

if TYPE_CHECKING:
    from tollkeeper.store.protocols import Records, RecordStore

__all__ = ["Job", "Schedule", "run_due", "run_now"]

LONGEST_RUN = timedelta(hours=1)
"""After which a run is taken for dead, whatever its process does."""
DETAIL_LENGTH = 500
log = logging.getLogger("tollkeeper")


class Schedule(Struct, frozen=True):
    """When a job is due, by the calendar in UTC: each ``every``, a divisor of a day, and ``after`` it began."""

    every: timedelta
    after: timedelta = timedelta(0)

    def latest(self, now: datetime) -> datetime:
        """The last time that it was due, now included."""
        return now - (now - EPOCH - self.after) % self.every

    def words(self) -> str:
        """The rule as it is shown, e.g. ``every day at 03:10 UTC``."""
        if self.every == timedelta(days=1):
            return f"every day at {EPOCH + self.after:%H:%M} UTC"
        if self.every == timedelta(hours=1):
            return f"every hour at :{EPOCH + self.after:%M}"
        return "every minute" if self.every == timedelta(minutes=1) else f"every {self.every}"


class Job(Struct, frozen=True, eq=False):
    """Work that is due by the calendar. ``run`` gets the time and says what it did; safe to run twice, also at once."""

    name: str
    purpose: str
    schedule: Schedule
    run: Callable[[datetime], str]


def run_due(store: RecordStore, job: Job, at: datetime) -> JobRun:
    """Run a job that was due at a time, unless that was done; the run, ``running`` while another process is at it."""
    run, is_ours = _claim(store, job, at)
    return _do(store, job, run) if is_ours else run


def run_now(store: RecordStore, job: Job) -> JobRun:
    """Run a job whatever its schedule; the run, which may have failed."""
    with store.writing() as records:
        run = _begin(job, datetime.now(UTC))
        records.add(run)
    return _do(store, job, run)


def _claim(store: RecordStore, job: Job, at: datetime) -> tuple[JobRun, bool]:
    """The run of a due time, and whether it is ours to do."""
    with store.writing() as records:
        run = _begin(job, at)
        found = records.find(JobRun, job=job.name, at=at)
        if not found:
            _give_up(records, job, at)
            records.add(run)
            return run, True
        if found[0].state != "running" or _is_alive(found[0]):
            return found[0], False
        log.warning("The job %s of %s died with its process, and is run again.", job.name, at)
        run = replace(run, id=found[0].id)
        records.replace(run)
        return run, True


def _give_up(records: Records, job: Job, at: datetime) -> None:
    """Close the run before, if it died with its process: the one that is due now makes up for it."""
    for last in records.page(JobRun, after=None, limit=1, newest_first=True, job=job.name):
        if last.state == "running" and last.at < at and not _is_alive(last):
            detail = "Its process ended before it did; the next run made up for it."
            records.replace(replace(last, state="failed", detail=detail, finished_at=datetime.now(UTC)))


def _begin(job: Job, at: datetime) -> JobRun:
    return JobRun(id=record_id("run"), job=job.name, at=at, detail=_this_process(), started_at=datetime.now(UTC))


def _do(store: RecordStore, job: Job, run: JobRun) -> JobRun:
    try:
        done = replace(run, state="done", detail=job.run(datetime.now(UTC)))
    except TollkeeperError as error:
        log.warning("The job %s failed: %s", job.name, error.detail)
        done = replace(run, state="failed", detail=error.detail)
    except Exception as error:
        log.exception("The job %s failed, for a reason that should be reported.", job.name)
        done = replace(run, state="failed", detail=f"{type(error).__name__}: the log of the service says more.")
    done = replace(done, detail=(done.detail or "")[:DETAIL_LENGTH], finished_at=datetime.now(UTC))
    with store.writing() as records:
        records.replace(done)
    return done


def _this_process() -> str:
    """What stands in ``detail`` while a job runs."""
    return f"process {os.getpid()} on {socket.gethostname()}"


def _is_alive(run: JobRun) -> bool:
    """Whether a run's process lives: another one of this machine. Who ran it elsewhere leads no more."""
    _, _, rest = (run.detail or "").partition("process ")
    process, _, host = rest.partition(" on ")
    if host != socket.gethostname() or not process.isdigit() or int(process) == os.getpid():
        return False
    if datetime.now(UTC) - run.started_at > LONGEST_RUN:
        return False
    try:
        os.kill(int(process), 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
