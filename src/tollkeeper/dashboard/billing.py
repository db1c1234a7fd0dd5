"""What a customer's page tells of money: invoices, wallets, coupons, one-off lines and how they are billed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

from tollkeeper.dashboard.invoices import InvoiceRow, invoice_rows
from tollkeeper.service.listing import list_records
from tollkeeper.service.selling.coupons import CouponView, show_coupon
from tollkeeper.service.selling.profiles import ProfileView, show_profile
from tollkeeper.service.selling.wallets import WalletView, show_wallet
from tollkeeper.store.invoices import Invoice
from tollkeeper.store.selling import CustomerCoupon, CustomerWallet, InvoiceItem

if TYPE_CHECKING:
    from datetime import datetime

    from tollkeeper.store.protocols import Records

__all__ = ["Billing", "load_billing"]

INVOICES = 6


class Billing(Struct, frozen=True, kw_only=True):
    """The newest invoices, the wallets and coupons that are not used up, and the lines that wait for an invoice."""

    invoices: list[InvoiceRow]
    wallets: list[WalletView]
    coupons: list[CouponView]
    items: list[InvoiceItem]
    profile: ProfileView


def load_billing(records: Records, customer_id: str, now: datetime) -> Billing:
    """Read what the page shows."""
    newest = list_records(records, Invoice, limit=INVOICES, newest_first=True, customer=customer_id)
    wallets = [show_wallet(one, now) for one in records.find(CustomerWallet, customer=customer_id)]
    coupons = [show_coupon(one, now) for one in records.find(CustomerCoupon, customer=customer_id)]
    return Billing(
        invoices=invoice_rows(records, newest.items),
        wallets=[one for one in wallets if one.state == "active"],
        coupons=[one for one in coupons if one.state == "active"],
        items=records.find(InvoiceItem, customer=customer_id, invoice=None),
        profile=show_profile(records, customer_id),
    )
