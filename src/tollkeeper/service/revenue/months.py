"""Revenue by month: what final invoices charge, less what was given back."""

from __future__ import annotations

from collections import Counter
from decimal import Decimal
from typing import TYPE_CHECKING

from msgspec import Struct

from tollkeeper.billing.money import from_minor
from tollkeeper.service.invoicing.months import month_of, month_span
from tollkeeper.service.revenue.calendar import months_between
from tollkeeper.service.revenue.credited import credited_notes
from tollkeeper.store.invoices import InvoiceLine

if TYPE_CHECKING:
    from datetime import datetime

    from tollkeeper.store.protocols import Records

__all__ = ["EARNED", "MonthRevenue", "revenue_by_month"]

EARNED = ["finalized", "paid"]
"""The states of the invoices that count."""


class MonthRevenue(Struct, frozen=True, kw_only=True):
    """Revenue of a month in one currency: ``net`` is what was ``charged`` less what was ``credited``; no taxes."""

    month: str
    currency: str
    charged: Decimal
    credited: Decimal
    net: Decimal


def revenue_by_month(records: Records, start: datetime, end: datetime) -> list[MonthRevenue]:
    """Add up final lines whose time begins in the month, UTC, less the credit notes that were issued in it.

    Oldest month first; the first and the last have only what lies in ``[start, end)``. A month without revenue has no
    row. Raises InvalidRequestError for more than 120 months.
    """
    charged, credited = Counter[tuple[str, str]](), Counter[tuple[str, str]]()
    for month in months_between(start, end):
        span = month_span(month, "UTC")
        first, last = max(start, span.start), min(end, span.end)
        found = records.sums(InvoiceLine, "net", ("currency",), start=first, end=last, state=EARNED)
        charged.update({(month, currency): net for (currency,), net in found.items()})
    for note, net in credited_notes(records, start, end):
        credited[month_of(note.at), note.currency] += net
    return [
        MonthRevenue(
            month=month,
            currency=currency,
            charged=from_minor(charged[month, currency], currency),
            credited=from_minor(credited[month, currency], currency),
            net=from_minor(charged[month, currency] - credited[month, currency], currency),
        )
        for month, currency in sorted({*charged, *credited})
    ]
