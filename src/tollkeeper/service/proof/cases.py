"""What is to be proved of a month: whose calls, by which keys, and which invoices, in as few walks as can be."""

from __future__ import annotations

from collections import defaultdict
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from tollkeeper.billing.charging import needs_details
from tollkeeper.billing.customer import Customer
from tollkeeper.billing.rate_card import rate_card
from tollkeeper.billing.statement import ChargedPart
from tollkeeper.service.invoicing.accounts import load_accounts
from tollkeeper.service.invoicing.months import month_after, months_before
from tollkeeper.service.invoicing.past import FINAL, MONTHS
from tollkeeper.service.proof.invoices import read_statement
from tollkeeper.store.invoices import Invoice

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from tollkeeper.billing.account import CustomerAccount
    from tollkeeper.billing.period import BillingPeriod
    from tollkeeper.billing.statement import Statement
    from tollkeeper.store.protocols import Records, RecordStore

__all__ = ["CHUNK", "Case", "Walk", "billed_parts_of", "plan_walks"]

CHUNK = 100
"""Customers that are read at one go."""
ZONES = timedelta(days=1)
"""How far a customer's month may begin and end from the one of UTC."""


class Case(Struct, frozen=True, kw_only=True):
    """The events of a customer by their ``keys`` in ``[start, end)``, for an invoice (its id), or for none."""

    customer: str
    keys: tuple[str, ...]
    start: datetime
    end: datetime
    invoice: str | None = None


class Walk(Struct, frozen=True, kw_only=True):
    """Cases that are proved in one walk, no customer twice; the ``first`` walk has all customers and their calls."""

    cases: list[Case]
    first: bool
    whole: bool

    @property
    def start(self) -> datetime:
        """Where the walk begins."""
        return min(case.start for case in self.cases)

    @property
    def end(self) -> datetime:
        """Where the walk ends, exclusive."""
        return max(case.end for case in self.cases)


def plan_walks(store: RecordStore, month: str, span: BillingPeriod) -> list[Walk]:
    """Plan the walks of a month, which is ``span`` in UTC: one, and others for invoices that reach far or are several.

    It holds no more of each customer than a ``Case``.
    """
    first: list[Case] = []
    more: list[list[Case]] = []
    whole = False
    for accounts, invoices in _chunks(store, month, span):
        for customer, account in accounts.items():
            own = Case(
                customer=customer,
                keys=tuple(key.fingerprint for key in account.facts.keys),
                start=span.start,
                end=span.end,
            )
            cases = [_case(invoice, statement, own) for invoice, statement in invoices[customer]]
            fits = [one for one in cases if _fits(one, own)]
            first.append(_both(fits[0], own) if fits else own)
            for rank, case in enumerate(one for one in cases if one not in fits[:1]):
                if rank == len(more):
                    more.append([])
                more[rank].append(case)
            whole = whole or _needs_details(account, span, (statement for _, statement in invoices[customer]))
    walks = [Walk(cases=first, first=True, whole=whole)] if first else []
    return [*walks, *(Walk(cases=cases, first=False, whole=whole) for cases in more)]


def billed_parts_of(
    records: Records, customers: Sequence[str], month: str, span: BillingPeriod
) -> dict[str, list[ChargedPart]]:
    """The parts that touch a month, of all final invoices that may have such, by customer."""
    months = [months_before(month, 1)[0], month]
    for _ in range(MONTHS):
        months.append(month_after(months[-1]))
    found: defaultdict[str, list[ChargedPart]] = defaultdict(list)
    for invoice in records.find(Invoice, customer=list(customers), period=months, state=FINAL):
        statement = read_statement(invoice)
        parts = statement.parts if statement else ()
        found[invoice.customer] += [part for part in parts if part.start < span.end and span.start < part.end]
    return found


def _chunks(
    store: RecordStore, month: str, span: BillingPeriod
) -> Iterator[tuple[dict[str, CustomerAccount], defaultdict[str, list[tuple[Invoice, Statement | None]]]]]:
    """All customers, some at a time, with their final invoices of a month, and those by hand that were issued in it."""
    after = None
    while True:
        with store.reading() as records:
            page = records.page(Customer, after=after, limit=CHUNK)
            accounts = load_accounts(records, page)
            ids = [customer.id for customer in page]
            invoices = records.find(Invoice, customer=ids, period=month, state=FINAL)
            by_hand = records.find(Invoice, customer=ids, period=None, state=FINAL)
        found: defaultdict[str, list[tuple[Invoice, Statement | None]]] = defaultdict(list)
        for invoice in [*invoices, *(one for one in by_hand if span.start <= one.at < span.end)]:
            found[invoice.customer].append((invoice, read_statement(invoice)))
        yield accounts, found
        if len(page) < CHUNK:
            return
        after = page[-1].id


def _case(invoice: Invoice, statement: Statement | None, own: Case) -> Case:
    parts = statement.parts if statement else ()
    return replace(
        own,
        keys=tuple({key: None for part in parts for key in part.keys}),
        start=min((part.start for part in parts), default=own.start),
        end=max((part.end for part in parts), default=own.end),
        invoice=invoice.id,
    )


def _fits(case: Case, own: Case) -> bool:
    """Whether the walk that goes over the month of all customers has all events of an invoice."""
    near = own.start - ZONES <= case.start and case.end <= own.end + ZONES
    return near and set(case.keys) <= set(own.keys)


def _both(case: Case, own: Case) -> Case:
    return replace(case, keys=own.keys, start=min(case.start, own.start), end=max(case.end, own.end))


def _needs_details(account: CustomerAccount, span: BillingPeriod, statements: Iterable[Statement | None]) -> bool:
    """Whether a meter of any plan as it is now, or as an invoice was made by, reads the details of events."""
    start, end = span.start, span.end
    planned = [
        ChargedPart(subscription="", plan=plan, period_start=start, period_end=end, start=start, end=end)
        for plan in account.facts.plans
    ]
    parts = [part for statement in statements if statement for part in statement.parts]
    stated = {
        listed.meter: used.meter
        for part in parts
        for listed in rate_card(part.plan).prices
        for used in part.prices
        if used.meter is not None and listed.meter is not None and used.price == listed.name
    }
    return needs_details(account, planned) or needs_details(replace(account, meters=stated), parts)
