"""The jobs: what the service does by the calendar, without being asked."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from msgspec import Struct

from tollkeeper.errors import NotFoundError
from tollkeeper.events.timestamps import to_microseconds
from tollkeeper.service.alerts.evaluating import evaluate
from tollkeeper.service.alerts.forgetting import forget_messages
from tollkeeper.service.invoicing.job import INVOICES_JOB, keep_invoices
from tollkeeper.service.job_runs import Job, Schedule
from tollkeeper.service.quota_folding import QuotaFolder, expire_holds
from tollkeeper.service.quota_notices import tell_of_periods
from tollkeeper.service.quota_opening import open_quotas_that_carry
from tollkeeper.service.quota_reset import reset_quotas
from tollkeeper.store.operations import JobRun

if TYPE_CHECKING:
    from tollkeeper.service.bootstrap import Service

__all__ = ["JobView", "find_job", "jobs_of", "list_jobs"]

EVERY_MINUTE, EVERY_HOUR = Schedule(timedelta(minutes=1)), Schedule(timedelta(hours=1), timedelta(minutes=7))
AT_NIGHT = Schedule(timedelta(days=1), timedelta(hours=3, minutes=10))
FORGET_AT_ONCE = 5_000
RUNS_KEPT = timedelta(days=7)
MESSAGES_KEPT = timedelta(days=90)
HOLDS_KEPT = timedelta(days=1)
COUNT_AT_ONCE = 100_000


class JobView(Struct, frozen=True, kw_only=True):
    """A job as it is shown, with its newest run."""

    name: str
    purpose: str
    schedule: str
    next_at: datetime
    last_run: JobRun | None


def jobs_of(service: Service) -> list[Job]:
    """All jobs of a service."""
    return [
        Job(
            "quota-reset",
            "Close the periods of limits that are over, carry unused units over, and tell of it.",
            EVERY_MINUTE,
            lambda now: _reset(service, now),
        ),
        Job(
            "evaluate-alerts",
            "Look at what the rules of alerts are for, and put what there is to tell into the outbox.",
            EVERY_MINUTE,
            lambda now: f"{evaluate(service, now):,} messages to send",
        ),
        Job(
            "quota-open",
            "Begin the periods of limits that carry units over, also where nothing is used.",
            EVERY_HOUR,
            lambda now: f"{open_quotas_that_carry(service.catalog, service.quotas, now):,} periods begun",
        ),
        Job(
            INVOICES_JOB,
            "Draft invoices, and make those final whose month and days of grace are over, with the setting"
            " invoice_from.",
            EVERY_HOUR,
            lambda now: keep_invoices(service, now),
        ),
        *_forgetting(service),
    ]


def find_job(service: Service, name: str) -> Job:
    """Find a job by its name; raises NotFoundError."""
    found = {job.name: job for job in jobs_of(service)}
    if name not in found:
        raise NotFoundError(f"There is no job {name[:100]!r}: the jobs are {', '.join(found)}.")
    return found[name]


def list_jobs(service: Service) -> list[JobView]:
    """All jobs, with when each is due next and its newest run."""
    now = datetime.now(UTC)
    with service.catalog.reading() as records:
        return [
            JobView(
                name=job.name,
                purpose=job.purpose,
                schedule=job.schedule.words(),
                next_at=job.schedule.latest(now) + job.schedule.every,
                last_run=next(iter(records.page(JobRun, after=None, limit=1, newest_first=True, job=job.name)), None),
            )
            for job in jobs_of(service)
        ]


def _counted(service: Service) -> int:
    with service.quotas.reading() as book:
        return book.position()


def _forgetting(service: Service) -> list[Job]:
    return [
        Job(
            "forget-holds",
            "Forget reservations, leases, and what was used in minutes and hours, that were over a day ago.",
            EVERY_HOUR,
            lambda now: _forget_holds(service, now),
        ),
        Job(
            "tag-history",
            "Forget uses of tags that are older than the setting tag_history_days.",
            EVERY_HOUR,
            lambda now: _forget_tags(service, now),
        ),
        Job(
            "forget-messages",
            "Forget messages of alerts that are older than 90 days.",
            AT_NIGHT,
            lambda now: f"{forget_messages(service.catalog, now - MESSAGES_KEPT):,} messages forgotten",
        ),
        Job(
            "forget-runs",
            "Forget runs of jobs that are older than a week.",
            AT_NIGHT,
            lambda now: _forget_runs(service, now),
        ),
    ]


def _reset(service: Service, now: datetime) -> str:
    # What was used until the end and has been reported shall be counted first.
    folder = QuotaFolder(service.events, service.catalog, service.quotas)
    until = service.events.last_seq()  # no further: more may come for ever
    while _counted(service) < until and folder.fold(COUNT_AT_ONCE):
        pass
    expire_holds(service.quotas, to_microseconds(now))
    return f"{reset_quotas(service.catalog, service.quotas, tell_of_periods, now):,} periods closed"


def _forget_holds(service: Service, now: datetime) -> str:
    before, forgotten = to_microseconds(now - HOLDS_KEPT), 0
    while True:
        with service.quotas.writing() as book:
            gone = book.forget(before, FORGET_AT_ONCE)
        forgotten += gone
        if gone < FORGET_AT_ONCE:
            return f"{forgotten:,} forgotten"


def _forget_tags(service: Service, now: datetime) -> str:
    before, forgotten = now - timedelta(days=service.settings.tag_history_days), 0
    while gone := service.tags.forget(before, FORGET_AT_ONCE):
        forgotten += gone
    return f"{forgotten:,} uses forgotten"


def _forget_runs(service: Service, now: datetime) -> str:
    end, forgotten = now - RUNS_KEPT, 0
    while True:
        with service.catalog.writing() as records:
            old = records.page(JobRun, after=None, limit=FORGET_AT_ONCE, end=end)
            for run in old:
                records.remove(run)
        forgotten += len(old)
        if len(old) < FORGET_AT_ONCE:
            return f"{forgotten:,} runs forgotten"
