"""The lines of what was issued in a time, as rows."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING

from tollkeeper.billing.credit_note import CreditNote
from tollkeeper.billing.money import from_minor, total
from tollkeeper.billing.packing import unpack
from tollkeeper.service.exports.issued import issued_between
from tollkeeper.service.exports.tables import Cell, Column, Export, decimal_of
from tollkeeper.service.invoicing.statements import invoice_statement

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime
    from decimal import Decimal

    from tollkeeper.service.exports.issued import Issued
    from tollkeeper.store.invoices import InvoiceLine
    from tollkeeper.store.protocols import RecordStore

__all__ = ["export_charges"]

COLUMNS = (
    Column("document", nullable=False),
    Column("invoice", nullable=False),
    Column("line", "integer", nullable=False),
    Column("issued_at", "time", nullable=False),
    Column("customer", nullable=False),
    Column("customer_name"),
    Column("subscription"),
    Column("plan"),
    Column("plan_name"),
    Column("api"),
    Column("api_name"),
    Column("route"),
    Column("kind", nullable=False),
    Column("name", nullable=False),
    Column("starts_at", "time", nullable=False),
    Column("quantity", "number"),
    Column("currency", nullable=False),
    Column("net", "money", nullable=False),
)
MICRO = 1_000_000


def export_charges(store: RecordStore, start: datetime, end: datetime) -> Export:
    """The lines of invoices that were issued in ``[start, end)``, net of discounts and without taxes.

    What credit notes of that time gave back stands below zero, without a quantity. ``document`` is the number of the
    invoice or of the note, ``invoice`` always that of the invoice.
    """
    return Export(COLUMNS, (row for one in issued_between(store, start, end) for row in _rows(one)))


def _rows(issued: Issued) -> Iterator[tuple[Cell, ...]]:
    note, currency = issued.note, issued.invoice.currency
    if note is None:
        for line in issued.lines:
            yield _row(issued, line, from_minor(line.net, currency))
        return
    lines = {line.n - 1: line for line in issued.lines}
    for number, amount in unpack(note.document, CreditNote).lines.items():
        yield _row(issued, lines[number], total((), currency, less=(amount,)))


def _row(issued: Issued, line: InvoiceLine, net: Decimal) -> tuple[Cell, ...]:
    names, note = issued.names, issued.note
    issue = note or issued.invoice
    quantity = None if note else _quantity(issued, line)
    return (
        issue.number,
        issued.invoice.number,
        line.n,
        issue.at,
        line.customer,
        names.customers.get(line.customer),
        line.subscription,
        line.plan,
        names.plans.get(line.plan or ""),
        line.api,
        names.apis.get(line.api or ""),
        line.route,
        "credit_note" if note else line.kind,
        line.name,
        line.at,
        None if quantity is None else decimal_of(Fraction(quantity, MICRO)),
        line.currency,
        net,
    )


def _quantity(issued: Issued, line: InvoiceLine) -> int | None:
    """The millionths of a line; those that are too many for its row stand in the statement."""
    if line.quantity is None and line.kind == "usage":
        return invoice_statement(issued.invoice).invoice.lines[line.n - 1].quantity
    return line.quantity
