"""Invoices and credit notes as they are shown."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal

from msgspec import Struct

from tollkeeper.billing.party import Party
from tollkeeper.billing.tax import TaxSum

__all__ = ["CreditNoteView", "InvoiceDetail", "InvoiceView", "LineView", "StatementView"]


class InvoiceView(Struct, frozen=True, kw_only=True):
    """An invoice in a list; ``period`` is the month that it bills, null for one by hand."""

    id: str
    number: str | None
    customer: str
    customer_name: str
    period: str | None
    attempt: int
    currency: str
    state: str
    starts_at: datetime
    ends_at: datetime
    subtotal: Decimal
    discount: Decimal
    net: Decimal
    tax: Decimal
    total: Decimal
    due: Decimal
    credit: Decimal
    at: datetime
    due_at: datetime | None
    finalized_at: datetime | None
    paid_at: datetime | None
    voided_at: datetime | None
    created_at: datetime


class LineView(Struct, frozen=True, kw_only=True):
    """A line; ``n`` is its place, from 1. ``late`` says that it is the difference to what was billed before."""

    n: int
    kind: str
    name: str
    subscription: str | None
    plan: str | None
    start: datetime | None
    end: datetime | None
    late: bool
    quantity: Decimal | None
    amount: Decimal
    discount: Decimal
    net: Decimal
    taxes: tuple[str, ...]


class CouponLine(Struct, frozen=True):
    """What a coupon takes off."""

    name: str
    amount: Decimal


class WalletLine(Struct, frozen=True):
    """What is paid from a wallet."""

    wallet: str
    amount: Decimal


class StatementView(Struct, frozen=True, kw_only=True):
    """What an invoice says."""

    currency: str
    seller: Party
    buyer: Party
    language: str
    lines: list[LineView]
    coupons: list[CouponLine]
    taxes: tuple[TaxSum, ...]
    wallets: list[WalletLine]
    subtotal: Decimal
    discount: Decimal
    net: Decimal
    tax: Decimal
    total: Decimal
    due: Decimal
    credit: Decimal


class InvoiceDetail(InvoiceView, frozen=True, kw_only=True):
    """An invoice with all that it says; ``credit_notes`` are the numbers of those that it has."""

    seller: Party
    buyer: Party
    language: str
    lines: list[LineView]
    coupons: list[CouponLine]
    taxes: tuple[TaxSum, ...]
    wallets: list[WalletLine]
    credit_notes: list[str]


class CreditedLineView(Struct, frozen=True):
    """How much of the line ``n`` of the invoice is given back, without taxes."""

    n: int
    amount: Decimal


class CreditNoteView(Struct, frozen=True, kw_only=True):
    """A credit note; ``taxes`` are by their names."""

    id: str
    number: str
    invoice: str
    customer: str
    currency: str
    lines: list[CreditedLineView]
    taxes: dict[str, Decimal]
    net: Decimal
    tax: Decimal
    total: Decimal
    reason: str | None
    at: datetime
    created_at: datetime
