"""Invoices and credit notes that were issued in a time, as rows."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tollkeeper.billing.money import total
from tollkeeper.service.exports.issued import issued_between
from tollkeeper.service.exports.tables import Cell, Column, Export

if TYPE_CHECKING:
    from datetime import datetime

    from tollkeeper.service.exports.issued import Issued
    from tollkeeper.store.protocols import RecordStore

__all__ = ["export_invoices"]

COLUMNS = (
    Column("document", nullable=False),
    Column("kind", nullable=False),
    Column("invoice", nullable=False),
    Column("period"),
    Column("customer", nullable=False),
    Column("customer_name"),
    Column("state", nullable=False),
    Column("issued_at", "time", nullable=False),
    Column("starts_at", "time", nullable=False),
    Column("ends_at", "time", nullable=False),
    Column("due_at", "time"),
    Column("paid_at", "time"),
    Column("currency", nullable=False),
    Column("net", "money", nullable=False),
    Column("tax", "money", nullable=False),
    Column("total", "money", nullable=False),
    Column("due", "money"),
)


def export_invoices(store: RecordStore, start: datetime, end: datetime) -> Export:
    """Invoices that were issued in ``[start, end)`` and are not void, then credit notes, whose amounts are below zero.

    ``total`` is ``net`` and ``tax``; ``due`` is what wallets left to pay.
    """
    return Export(COLUMNS, map(_row, issued_between(store, start, end)))


def _row(issued: Issued) -> tuple[Cell, ...]:
    invoice, note = issued.invoice, issued.note
    issue = note or invoice
    amounts = (issue.net, issue.tax, issue.total)
    return (
        issue.number,
        "credit_note" if note else "invoice",
        invoice.number,
        invoice.period,
        invoice.customer,
        issued.names.customers.get(invoice.customer),
        invoice.state,
        issue.at,
        invoice.starts_at,
        invoice.ends_at,
        None if note else invoice.due_at,
        None if note else invoice.paid_at,
        invoice.currency,
        *(total((), invoice.currency, less=(amount,)) if note else amount for amount in amounts),
        None if note else invoice.due,
    )
