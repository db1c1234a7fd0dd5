"""The job ``invoices``: drafts kept fresh, months that are over billed, and made final after their days of grace."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from tollkeeper.service.invoicing.months import check_month, month_of, month_span, months_before
from tollkeeper.service.invoicing.past import MONTHS
from tollkeeper.service.invoicing.run import run_invoices
from tollkeeper.store.operations import JobRun

if TYPE_CHECKING:
    from datetime import datetime

    from tollkeeper.service.bootstrap import Service

__all__ = ["INVOICES_JOB", "keep_invoices"]

INVOICES_JOB = "invoices"
LAST_ZONE = timedelta(hours=15)
"""How much earlier or later than in UTC a month is over elsewhere, and an hour."""
SHOWN = 3


def keep_invoices(service: Service, now: datetime) -> str:
    """Run the months that may have changed since the job was done last, from the setting ``invoice_from`` on.

    The running month, and one in its days of grace, are drafted anew once a day.
    """
    first = service.settings.invoice_from
    if not first:
        return "nothing: the setting invoice_from names no month"
    last = _last_done(service)
    said = []
    for month in _months(check_month(first), now):
        if _is_due(service, month, now, last):
            report = run_invoices(service, month, now=now)
            said.append(f"{month}: {report.made:,} drafts, {report.finalized:,} final")
            if report.problems:
                said.append(f"{len(report.problems):,} problems, as {'; '.join(report.problems[:SHOWN])}")
    return "; ".join(said) or "nothing new"


def _months(first: str, now: datetime) -> list[str]:
    """From the first month to that of now, those of the last 13 at most, the oldest first."""
    current = month_of(now)
    return [month for month in [*reversed(months_before(current, MONTHS)), current] if month >= first]


def _is_due(service: Service, month: str, now: datetime, last: datetime | None) -> bool:
    """Whether a month is to be run: daily until all of it is final, and each hour while it becomes so zone by zone."""
    final = month_span(month, "UTC").end + timedelta(days=service.settings.invoice_grace_days)
    if last is None:
        return True
    return last < final + LAST_ZONE and (last.date() != now.date() or final - LAST_ZONE <= now)


def _last_done(service: Service) -> datetime | None:
    """When the job was done last; its runs are kept for some days only."""
    with service.catalog.reading() as records:
        found = records.page(JobRun, after=None, limit=1, newest_first=True, job=INVOICES_JOB, state="done")
    return found[0].started_at if found else None
