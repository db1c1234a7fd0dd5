"""Records of invoices: what was billed to whom, their lines, and what was given back."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Literal

from msgspec import Struct

__all__ = ["Invoice", "InvoiceEmail", "InvoiceLine", "InvoiceSeries", "IssuedCreditNote"]

InvoiceState = Literal["draft", "finalized", "paid", "void"]


class Invoice(Struct, frozen=True, kw_only=True):
    """One invoice of a customer. ``period`` is the month that it bills (``2026-10``), None for one by hand.

    A draft is computed again as events come; from ``finalized_at`` on nothing of it changes but ``state`` and the times
    behind it. ``attempt`` is 1, and one more for each of the same month that was voided. ``document`` is the packed
    ``Statement``, ``digest`` its SHA-256. ``at`` is the day of issue, of a draft the end of what it bills.
    """

    id: str
    customer: str
    period: str | None
    attempt: int = 1
    currency: str
    state: InvoiceState = "draft"
    number: str | None = None
    starts_at: datetime
    ends_at: datetime
    subtotal: Decimal
    discount: Decimal
    net: Decimal
    tax: Decimal
    total: Decimal
    due: Decimal
    credit: Decimal
    document: bytes
    digest: bytes
    at: datetime
    due_at: datetime | None = None
    finalized_at: datetime | None = None
    paid_at: datetime | None = None
    voided_at: datetime | None = None
    created_at: datetime


class InvoiceLine(Struct, frozen=True, kw_only=True):
    """A line of an invoice for adding up: ``net`` in minor units of the currency, after discounts, without taxes.

    ``n`` is its place, from 1; ``quantity`` is in millionths. ``at`` is the beginning of what it charges, ``state``
    that of its invoice.
    """

    id: str
    invoice: str
    n: int
    customer: str
    subscription: str | None = None
    plan: str | None = None
    api: str | None = None
    route: str | None = None
    kind: str
    name: str
    currency: str
    quantity: int | None = None
    net: int
    state: InvoiceState
    at: datetime


class InvoiceSeries(Struct, frozen=True, kw_only=True):
    """Numbers without a gap: ``prefix`` and the ``next`` one; ``at`` is the day of issue of the last."""

    id: str
    name: str
    prefix: str
    next: int = 1
    at: datetime
    created_at: datetime


class IssuedCreditNote(Struct, frozen=True, kw_only=True):
    """What was given back of an invoice; ``document`` is the packed ``CreditNote``, and nothing of it ever changes."""

    id: str
    invoice: str
    customer: str
    number: str
    currency: str
    net: Decimal
    tax: Decimal
    total: Decimal
    reason: str | None = None
    document: bytes
    at: datetime
    created_at: datetime


class InvoiceEmail(Struct, frozen=True, kw_only=True):
    """An invoice or a credit note (``subject`` is its id) on its way to a customer; ``at`` is when it is tried next."""

    id: str
    subject: str
    address: str
    state: Literal["pending", "delivered", "dead"] = "pending"
    attempts: int = 0
    error: str | None = None
    delivered_at: datetime | None = None
    at: datetime
    created_at: datetime
