"""What was issued in a time, page by page: final invoices with their lines, and credit notes with their invoices."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from tollkeeper.billing.customer import Customer
from tollkeeper.billing.plan import Plan
from tollkeeper.billing.product import Api
from tollkeeper.service.revenue.months import EARNED
from tollkeeper.store.invoices import Invoice, InvoiceLine, IssuedCreditNote

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime

    from tollkeeper.store.protocols import Records, RecordStore

__all__ = ["Issued", "Names", "issued_between"]

PAGE = 200


class Names(Struct, frozen=True):
    """What people call customers, plans and APIs, by their ids."""

    customers: dict[str, str]
    plans: dict[str, str]
    apis: dict[str, str]


class Issued(Struct, frozen=True, kw_only=True):
    """An invoice with its lines in their order; with a ``note``, only that was issued in the time."""

    invoice: Invoice
    lines: list[InvoiceLine]
    note: IssuedCreditNote | None = None
    names: Names


def issued_between(store: RecordStore, start: datetime, end: datetime) -> Iterator[Issued]:
    """Invoices that were issued in ``[start, end)`` and are not void, then credit notes, both oldest first.

    Each page is read by itself, so that no transaction lasts as long as the slowest reader of a file.
    """
    after: str | None = None
    while True:
        with store.reading() as records:
            page = records.page(Invoice, after=after, limit=PAGE, start=start, end=end, state=EARNED)
            found = _with_lines(records, page)
        if not page:
            break
        after = page[-1].id
        yield from (found[invoice.id] for invoice in page)
    yield from _notes(store, start, end)


def _notes(store: RecordStore, start: datetime, end: datetime) -> Iterator[Issued]:
    after: str | None = None
    while True:
        with store.reading() as records:
            page = records.page(IssuedCreditNote, after=after, limit=PAGE, start=start, end=end)
            ids = sorted({note.invoice for note in page})
            found = _with_lines(records, records.find(Invoice, id=ids))
        if not page:
            return
        after = page[-1].id
        yield from (replace(found[note.invoice], note=note) for note in page)


def _with_lines(records: Records, invoices: Sequence[Invoice]) -> dict[str, Issued]:
    if not invoices:
        return {}
    customers = records.find(Customer, id=sorted({invoice.customer for invoice in invoices}))
    names = Names(
        customers={one.id: one.name for one in customers},
        plans={one.id: one.name for one in records.find(Plan)},
        apis={one.id: one.name for one in records.find(Api)},
    )
    lines: defaultdict[str, list[InvoiceLine]] = defaultdict(list)
    for line in records.find(InvoiceLine, invoice=[invoice.id for invoice in invoices]):
        lines[line.invoice].append(line)
    return {
        one.id: Issued(invoice=one, lines=sorted(lines[one.id], key=lambda line: line.n), names=names)
        for one in invoices
    }
