"""Up to where invoices know: the events and the catalogue that they were worked out from."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from tollkeeper.service.invoicing.months import month_span
from tollkeeper.service.invoicing.past import FINAL
from tollkeeper.service.invoicing.statements import invoice_statement
from tollkeeper.store.audit import AuditEntry
from tollkeeper.store.invoices import Invoice

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from tollkeeper.store.protocols import Records

__all__ = ["Reach", "reach_of", "usual_reach"]

SAMPLE = 100
ISSUED = [*FINAL, "void"]


class Reach(Struct, frozen=True):
    """What a month's invoices know: events up to ``until``, and the catalogue of ``since``."""

    month: str
    until: int
    since: datetime


def reach_of(invoices: Iterable[Invoice]) -> Reach | None:
    """What all of some invoices know; None when none of them has usage."""
    known = [
        Reach(invoice.period or "", max(part.until for part in parts), invoice.finalized_at or invoice.created_at)
        for invoice in invoices
        if (parts := invoice_statement(invoice).parts)
    ]
    if not known:
        return None
    return Reach(known[0].month, min(one.until for one in known), min(one.since for one in known))


def usual_reach(records: Records, months: Sequence[str]) -> Reach | None:
    """What is known of who had nothing to pay, up to the newest of some months, newest first, that was billed.

    The run that found so knew no less than the invoices that it made final, void ones too. One that was made final by
    hand may know more than any run: where there are no others, it is what the month before knew.
    """
    billed = []
    for month in months:
        found = [
            invoice
            for state in ISSUED
            for invoice in records.page(Invoice, after=None, limit=SAMPLE, period=month, state=state)
        ]
        if not found:
            continue
        billed.append(month)
        by_hand = _by_hand(records, found)
        reach = reach_of(invoice for invoice in found if invoice.id not in by_hand)
        if reach is not None:
            return replace(reach, month=billed[0])
    return Reach(billed[0], 0, month_span(billed[-1], "UTC").start) if billed else None


def _by_hand(records: Records, invoices: Sequence[Invoice]) -> set[str]:
    """The ids of those that somebody made final, which the audit log tells."""
    entries = records.find(AuditEntry, record=[invoice.id for invoice in invoices], action="update")
    return {entry.record for entry in entries if entry.before and entry.before.get("state") == "draft"}
