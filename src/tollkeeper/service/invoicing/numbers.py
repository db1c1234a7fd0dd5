"""Numbers without a gap, whose days never go back."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec.structs import replace

from tollkeeper.events.ids import record_id
from tollkeeper.store.invoices import InvoiceSeries

if TYPE_CHECKING:
    from datetime import datetime

    from tollkeeper.store.protocols import Records

__all__ = ["CREDIT_NOTES", "INVOICES", "take_number"]

INVOICES, CREDIT_NOTES = "invoices", "credit notes"
"""What is numbered; each of its prefixes is a series of its own."""


def take_number(records: Records, kind: str, prefix: str, now: datetime) -> tuple[str, datetime]:
    """Take the next number of a series within a transaction, and its day: now, or that of the one before if later."""
    name = f"{kind} {prefix}"
    found = records.find(InvoiceSeries, name=name)
    if not found:
        series = InvoiceSeries(id=record_id("ser"), name=name, prefix=prefix, next=2, at=now, created_at=now)
        records.add(series)
        return f"{prefix}000001", now
    series = found[0]
    at = max(now, series.at)
    records.replace(replace(series, next=series.next + 1, at=at))
    return f"{prefix}{series.next:06d}", at
