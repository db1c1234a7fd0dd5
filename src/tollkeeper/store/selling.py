"""Records around prices: what is counted, what a customer has of their own, and what comes onto their invoices."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Any

from msgspec import Struct, field

__all__ = ["BillingProfile", "CustomerCoupon", "CustomerWallet", "InvoiceItem", "SubscriptionPrice"]


class SubscriptionPrice(Struct, frozen=True, kw_only=True):
    """A price of a subscription's own, in the place of the list's while it is in force; never edited.

    ``price`` is the id of a route, or the name of a price of the plan; ``body`` is the price model as JSON.
    """

    id: str
    subscription: str
    price: str
    body: dict[str, Any]
    valid_from: datetime
    valid_to: datetime | None = None
    created_at: datetime


class CustomerCoupon(Struct, frozen=True, kw_only=True):
    """A coupon granted to a customer: ``left`` is what is left of its amount, ``invoices_left`` how often it serves.

    It is gone at ``expires_at``, exclusive. Those of a customer serve in the order of their ids.
    """

    id: str
    customer: str
    name: str
    percent: Decimal | None = None
    amount: Decimal | None = None
    currency: str | None = None
    left: Decimal | None = None
    invoices_left: int | None = None
    expires_at: datetime | None = None
    created_at: datetime


class CustomerWallet(Struct, frozen=True, kw_only=True):
    """Prepaid credit of a customer, ``amount`` of it at first; ``granted`` is what was not paid for.

    ``invoice`` is the one whose total below zero it is.
    """

    id: str
    customer: str
    name: str
    currency: str
    amount: Decimal
    balance: Decimal
    priority: int = 0
    granted: bool = False
    invoice: str | None = None
    expires_at: datetime | None = None
    created_at: datetime


class InvoiceItem(Struct, frozen=True, kw_only=True):
    """A one-off line, also below zero, for the next invoice that ends behind ``at``; ``invoice`` is that one."""

    id: str
    customer: str
    name: str
    amount: Decimal
    currency: str
    taxes: dict[str, Any] | None = None
    invoice: str | None = None
    at: datetime
    created_at: datetime


class BillingProfile(Struct, frozen=True, kw_only=True):
    """What a customer's invoices need to know; there is one of each customer at most.

    ``taxes`` has a list of ``TaxRate`` in ``rates``; ``language`` is a BCP 47 tag, ``net_days`` how long they may take.
    """

    id: str
    customer: str
    legal_name: str | None = None
    tax_id: str | None = None
    language: str = "en"
    taxes: dict[str, Any] = field(default_factory=dict)
    tax_inclusive: bool = False
    net_days: int | None = None
    created_at: datetime
