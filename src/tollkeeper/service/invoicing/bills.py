"""Up to where each customer was billed, and what was made in the catalogue since that changes what was billed."""

from __future__ import annotations

from collections import defaultdict
from datetime import timedelta
from typing import TYPE_CHECKING

from msgspec.structs import replace

from tollkeeper.service.invoicing.changes import new_prices
from tollkeeper.service.invoicing.late import LastBill
from tollkeeper.service.invoicing.months import month_span, months_before
from tollkeeper.service.invoicing.past import FINAL, MONTHS, around, load_past
from tollkeeper.service.invoicing.reach import Reach, reach_of, usual_reach
from tollkeeper.store.invoices import Invoice
from tollkeeper.store.selling import SubscriptionPrice

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    from tollkeeper.billing.charging import CustomerAccount
    from tollkeeper.billing.statement import Statement
    from tollkeeper.service.invoicing.changes import NewPrices
    from tollkeeper.service.invoicing.late import Span
    from tollkeeper.store.protocols import Records, RecordStore

__all__ = ["Bills"]

MARGIN = timedelta(days=1)
"""What was made so long before an invoice was final may have come too late for it, or by a clock that is behind."""


class Bills:
    """The months before one month, of all customers; ``begin`` is the first to be invoiced, if that is known."""

    def __init__(self, store: RecordStore, month: str, begin: str | None = None) -> None:
        self._month = month
        self._begin = max(begin, months_before(month, MONTHS)[-1]) if begin else month
        with store.reading() as records:
            self._months = [
                one
                for one in months_before(month, MONTHS)
                if any(records.page(Invoice, after=None, limit=1, period=one, state=state) for state in FINAL)
            ]
            self._usual = usual_reach(records, months_before(month, MONTHS))

    @property
    def first(self) -> str | None:
        """The first month that was billed, if only by finding nothing, of the last 13; None when none was."""
        return min(self._months[-1], self._begin) if self._months else None

    def last_bills(self, records: Records, accounts: Sequence[CustomerAccount]) -> list[LastBill]:
        """The last bills of the customers who have one, or whom the last run found to need none."""
        ids = [account.facts.customers[0].id for account in accounts]
        newest = self._newest(records, ids)
        own = _own_prices(records, accounts)
        voided = self._voided(records, ids)
        found: list[LastBill] = []
        for account, customer in zip(accounts, ids, strict=True):
            for reach in self._reaches(newest.get(customer), voided[customer]):
                changed = new_prices(account, own, reach.since - MARGIN)
                bill = _last_bill(account, reach, changed)
                if changed or voided[customer]:
                    past = load_past(records, [customer], self._month).get(customer, [])
                    bill = replace(bill, spans=bill.spans + _wrong(past, changed, reach))
                found.append(bill)
        return found

    def _reaches(self, own: Reach | None, voided: Collection[str]) -> list[Reach]:
        """Up to where a customer was billed: by the last invoice, and behind it by the runs that made none."""
        usual = self._usual
        if own is None or usual is None or own.month == usual.month:
            return [reach for reach in (own or usual,) if reach]
        # What was late on an invoice that was taken back since is late again.
        return [own, usual] if any(own.month < month for month in voided) else [usual]

    def _voided(self, records: Records, customers: Sequence[str]) -> defaultdict[str, list[str]]:
        """The months whose invoices were taken back: what others charged beyond these does not suffice any longer."""
        found: defaultdict[str, list[str]] = defaultdict(list)
        for invoice in records.find(Invoice, customer=list(customers), period=around(self._month), state="void"):
            found[invoice.customer].append(invoice.period or "")
        return found

    def _newest(self, records: Records, customers: Iterable[str]) -> dict[str, Reach]:
        found: dict[str, Reach] = {}
        left = set(customers)
        for month in self._months:
            invoices = records.find(Invoice, customer=sorted(left), period=month, state=FINAL) if left else []
            for customer in {invoice.customer for invoice in invoices}:
                reach = reach_of([invoice for invoice in invoices if invoice.customer == customer])
                if reach is not None:
                    found[customer] = reach
            left -= found.keys()
        return found


def _wrong(past: Sequence[tuple[Invoice, Statement]], changed: NewPrices, reach: Reach) -> tuple[Span, ...]:
    """The times of parts that rest on an invoice which was taken back, or whose calls cost something else now."""
    live = {invoice.id for invoice, _ in past}
    return tuple(
        (part.start, part.end)
        for invoice, statement in past
        for part in statement.parts
        if not live.issuperset(part.earlier) or changed.matter_to(part, (invoice.finalized_at or reach.since) - MARGIN)
    )


def _last_bill(account: CustomerAccount, reach: Reach, changed: NewPrices) -> LastBill:
    (customer,) = account.facts.customers
    end, since = month_span(reach.month, customer.time_zone).end, reach.since - MARGIN
    subscriptions = [one for one in account.facts.subscriptions if one.started_at < end]
    spans: list[Span] = [(one.started_at, end) for one in subscriptions if one.created_at >= since]
    spans += [(one.valid_from, end) for one in changed.own if one.valid_from < end]
    return LastBill(
        customer=customer.id,
        month=reach.month,
        until=reach.until,
        end=end,
        keys=tuple(key.fingerprint for key in account.facts.keys) if subscriptions else (),
        new_keys=tuple(key.fingerprint for key in account.facts.keys if key.created_at >= since)
        if subscriptions
        else (),
        new_routes=changed.calls_before(account, end) if subscriptions else frozenset(),
        spans=tuple(spans),
    )


def _own_prices(records: Records, accounts: Sequence[CustomerAccount]) -> list[SubscriptionPrice]:
    ids = [one.id for account in accounts for one in account.facts.subscriptions]
    return records.find(SubscriptionPrice, subscription=ids)
