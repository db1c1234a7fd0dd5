"""The run: the invoices of a month for everybody, as often as one likes; what was interrupted is taken up again."""

from __future__ import annotations

from contextlib import closing
from datetime import datetime, timedelta
from decimal import Decimal
from itertools import islice
from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import asdict

from tollkeeper.errors import InvalidRequestError
from tollkeeper.service.invoicing.keeping import Kept, keep_worked
from tollkeeper.service.invoicing.months import check_month, month_span
from tollkeeper.service.invoicing.past import final_ids
from tollkeeper.service.invoicing.planning import CHUNK, plan_work
from tollkeeper.service.invoicing.surroundings import load_surroundings
from tollkeeper.service.invoicing.unlogged import Unlogged
from tollkeeper.service.invoicing.working import work_out
from tollkeeper.store.invoices import Invoice

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    from tollkeeper.service.bootstrap import Service
    from tollkeeper.service.invoicing.working import Worked

__all__ = ["RunReport", "check_begun", "run_invoices"]

ROUNDS = 5
"""How often those are worked out again whose invoices others changed meanwhile."""
EARLIEST_ZONE = "Pacific/Kiritimati"
"""Where a month begins first."""


class RunReport(Struct, frozen=True, kw_only=True):
    """What a run did.

    ``made`` are drafts, new or changed, ``finalized`` invoices; of ``unchanged`` customers all is final already, or the
    draft is as it was; ``without_lines`` have nothing to pay. ``totals`` are of the invoices of this run, by currency.
    """

    month: str
    made: int
    finalized: int
    unchanged: int
    without_lines: int
    problems: list[str]
    totals: dict[str, Decimal]


def run_invoices(
    service: Service,
    month: str,
    *,
    now: datetime,
    finalize: bool = True,
    customers: Collection[str] | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> RunReport:
    """Draft the invoices of a month, and make those final whose month and days of grace are over where they are.

    Idempotent, and safe to run twice at once or to be killed: each customer has one invoice of a month and currency,
    and what is final stays. Of all ``customers``, or of those with some ids. ``progress`` is told how many of them are
    done, and of how many. Raises InvalidRequestError for no month, or one that has not begun anywhere.
    """
    check_begun(month, now)
    until = service.events.last_seq()
    plan = plan_work(service, month, customers, until)
    kept, works, done = Kept(unchanged=plan.unchanged), plan.works, 0
    count = len(works)
    for _ in range(ROUNDS):
        again: list[str] = []
        with closing(work_out(service, month, works, until)) as worked:
            while chunk := list(islice(worked, CHUNK)):
                again += _keep(service, month, chunk, kept, now=now, finalize=finalize)
                done += len(chunk)
                if progress is not None:
                    progress(min(done, count), count)
        if not again:
            break
        plan = plan_work(service, month, again, until)
        kept.unchanged += plan.unchanged
        works = plan.works
    else:
        kept.problems += [f"{customer}: its invoices are being changed by others: run it again." for customer in again]
    return RunReport(month=month, **asdict(kept))


def check_begun(month: str, now: datetime) -> None:
    """Refuse what is no month, or has not begun anywhere; raises InvalidRequestError."""
    if month_span(check_month(month), EARLIEST_ZONE).start > now:
        raise InvalidRequestError(f"The month {month} has not begun: give one that has.")


def _keep(
    service: Service, month: str, chunk: Sequence[Worked], kept: Kept, *, now: datetime, finalize: bool
) -> list[str]:
    """Keep what was worked out of some customers in one transaction; of whom it holds no more."""
    again = []
    customers = [worked.customer for worked in chunk]
    ids = [customer.id for customer in customers]
    with service.catalog.writing() as records:
        around = load_surroundings(records, customers)
        existing: dict[str, list[Invoice]] = {customer: [] for customer in ids}
        for invoice in records.find(Invoice, customer=ids, period=month):
            existing[invoice.customer].append(invoice)
        final = final_ids(records, ids, month)
        past = final_ids(records, [one.customer.id for one in chunk if one.seen.of_past], month, of_past=True)
        for worked in chunk:
            customer = worked.customer
            if past.get(customer.id, final[customer.id]) != worked.seen.ids:
                again.append(customer.id)
                continue
            over = month_span(month, customer.time_zone).end + timedelta(days=service.settings.invoice_grace_days)
            keep_worked(
                Unlogged(records, now),
                service.settings,
                worked,
                existing[customer.id],
                month=month,
                around=around[customer.id],
                final=finalize and over <= now,
                kept=kept,
            )
    return again
