"""Planning a run: who needs an invoice of a month, and which events that takes."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from tollkeeper.billing.charging import billing_parts, needs_details
from tollkeeper.billing.customer import Customer
from tollkeeper.service.invoicing.accounts import load_accounts
from tollkeeper.service.invoicing.bills import Bills
from tollkeeper.service.invoicing.late import Late, late_spans
from tollkeeper.service.invoicing.months import month_span, months_before
from tollkeeper.service.invoicing.parts import parts_to_rate
from tollkeeper.service.invoicing.past import FINAL, MONTHS, load_past
from tollkeeper.store.invoices import Invoice

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

    from tollkeeper.billing.charging import CustomerAccount
    from tollkeeper.service.bootstrap import Service
    from tollkeeper.service.invoicing.late import LastBill
    from tollkeeper.store.protocols import Records

__all__ = ["CHUNK", "Plan", "Work", "plan_work"]

CHUNK = 100
"""Customers that are read, and written, at one go."""


class Work(Struct, frozen=True, kw_only=True):
    """An invoice to be worked out: the customer, by the keys whose events in ``[start, end)`` it takes.

    ``late`` says what of earlier months has to be worked out anew. ``whole`` asks for all of an event.
    """

    customer: str
    keys: tuple[str, ...]
    start: datetime
    end: datetime
    late: Late | None = None
    whole: bool = False


class Plan(Struct, frozen=True, kw_only=True):
    """What there is to do, and for how many customers nothing is: their invoices are final."""

    works: list[Work]
    unchanged: int


def plan_work(service: Service, month: str, customers: Collection[str] | None, until: int) -> Plan:
    """Look who has no final invoice of a month, and who has late usage, up to the event ``until``.

    Of all customers, or of those with some ids. It holds no more of each than a ``Work``.
    """
    works: list[Work] = []
    bills: list[LastBill] = []
    unchanged = 0
    known = Bills(service.catalog, month, service.settings.invoice_from)
    for chunk in _chunks(service, customers):
        with service.catalog.reading() as records:
            found = records.find(Customer, id=chunk)
            closed = _closed(records, month, chunk)
            open_ones = [one for one in found if one.id not in closed]
            accounts = load_accounts(records, open_ones)
            unchanged += len(closed)
            works += [_work(accounts[one.id], month) for one in open_ones]
            bills += known.last_bills(records, list(accounts.values()))
    start = month_span(months_before(month, MONTHS)[-1], "UTC").start - timedelta(days=1)
    late = late_spans(service.events, bills, start=start, until=until)
    reaching = {customer: Late(known.first or month, tuple(spans)) for customer, spans in late.items()}
    return Plan(works=_with_late(service, month, works, reaching), unchanged=unchanged)


def _chunks(service: Service, customers: Collection[str] | None) -> Iterator[list[str]]:
    if customers is not None:
        ids = sorted(set(customers))
        yield from (ids[at : at + CHUNK] for at in range(0, len(ids), CHUNK))
        return
    after = None
    while True:
        with service.catalog.reading() as records:
            page = records.page(Customer, after=after, limit=CHUNK)
        if page:
            yield [one.id for one in page]
        if len(page) < CHUNK:
            return
        after = page[-1].id


def _closed(records: Records, month: str, customers: Sequence[str]) -> set[str]:
    """The customers whose invoices of a month are all final, each currency's last attempt."""
    last: dict[str, dict[str, Invoice]] = {}
    for invoice in records.find(Invoice, customer=list(customers), period=month):
        mine = last.setdefault(invoice.customer, {})
        before = mine.get(invoice.currency)
        if before is None or before.attempt < invoice.attempt:
            mine[invoice.currency] = invoice
    return {customer for customer, mine in last.items() if all(one.state in FINAL for one in mine.values())}


def _work(account: CustomerAccount, month: str) -> Work:
    (customer,) = account.facts.customers
    span = month_span(month, customer.time_zone)
    parts = billing_parts(account, span.start, span.end)
    return Work(
        customer=customer.id,
        keys=tuple(key.fingerprint for key in account.facts.keys),
        start=min((part.start for part in parts), default=span.start),
        end=max((part.end for part in parts), default=span.start),
        whole=needs_details(account, parts),
    )


def _with_late(service: Service, month: str, works: list[Work], late: Mapping[str, Late]) -> list[Work]:
    """Have the works of customers with late usage reach back to the parts that it is in."""
    found = {work.customer: work for work in works}
    ids = sorted(late)
    for at in range(0, len(ids), CHUNK):
        chunk = ids[at : at + CHUNK]
        with service.catalog.reading() as records:
            accounts = load_accounts(records, records.find(Customer, id=chunk))
            past = load_past(records, chunk, month)
        for customer, account in accounts.items():
            work = replace(found[customer], late=late[customer])
            parts = parts_to_rate(account, month, work.late, past.get(customer, []))
            found[customer] = replace(
                work,
                start=min((part.start for part in parts), default=work.start),
                end=max((part.end for part in parts), default=work.end),
                whole=work.whole or needs_details(account, parts),
            )
    return list(found.values())
