"""What is around the charges of customers: who they are, their taxes, credits and one-off lines."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING

import msgspec
from msgspec import Struct

from tollkeeper.billing.charge import Charge
from tollkeeper.billing.coupon import Coupon
from tollkeeper.billing.customer import Customer
from tollkeeper.billing.invoice import InvoiceTerms
from tollkeeper.billing.party import Party
from tollkeeper.billing.tax import TaxRate
from tollkeeper.billing.wallet import Wallet
from tollkeeper.store.selling import BillingProfile, CustomerCoupon, CustomerWallet, InvoiceItem

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from tollkeeper.settings import Settings
    from tollkeeper.store.protocols import Records

__all__ = ["Surroundings", "buyer_of", "item_charge", "load_surroundings", "seller_of"]


class Surroundings(Struct, frozen=True, kw_only=True):
    """A customer with all that comes onto their invoices beside charges; ``items`` are those on no invoice yet."""

    customer: Customer
    profile: BillingProfile
    coupons: list[CustomerCoupon]
    wallets: list[CustomerWallet]
    items: list[InvoiceItem]

    def terms(self, currency: str, at: datetime) -> InvoiceTerms:
        """The terms of an invoice of a day: coupons and wallets that have something left then."""
        return InvoiceTerms(
            currency=currency,
            at=at,
            coupons=tuple(
                Coupon(id=one.id, name=one.name, percent=one.percent, amount=one.left, currency=one.currency)
                for one in self.coupons
                if _serves(one, currency, at)
            ),
            taxes=tuple(msgspec.convert(self.profile.taxes.get("rates", []), list[TaxRate])),
            tax_inclusive=self.profile.tax_inclusive,
            wallets=tuple(
                Wallet(
                    id=one.id,
                    currency=one.currency,
                    balance=one.balance,
                    priority=one.priority,
                    expires_at=one.expires_at,
                    granted=one.granted,
                )
                for one in self.wallets
                if one.currency == currency and one.balance and (one.expires_at is None or at < one.expires_at)
            ),
        )

    def items_for(self, currency: str, end: datetime) -> list[InvoiceItem]:
        """The one-off lines in a currency for an invoice of what ends so."""
        return [item for item in self.items if item.currency == currency and item.at < end]


def load_surroundings(records: Records, customers: Sequence[Customer]) -> dict[str, Surroundings]:
    """The surroundings of customers by their ids."""
    ids = [customer.id for customer in customers]
    found = {
        one.id: Surroundings(
            customer=one,
            profile=BillingProfile(id="", customer=one.id, created_at=one.created_at),
            coupons=[],
            wallets=[],
            items=[],
        )
        for one in customers
    }
    for profile in records.find(BillingProfile, customer=ids):
        found[profile.customer] = msgspec.structs.replace(found[profile.customer], profile=profile)
    for coupon in records.find(CustomerCoupon, customer=ids):
        found[coupon.customer].coupons.append(coupon)
    for wallet in records.find(CustomerWallet, customer=ids):
        found[wallet.customer].wallets.append(wallet)
    for item in records.find(InvoiceItem, customer=ids, invoice=None):
        found[item.customer].items.append(item)
    return found


def item_charge(item: InvoiceItem) -> Charge:
    """The charge of a one-off line; its ``taxes`` have the names of those that it bears in ``names``."""
    names = None if item.taxes is None else tuple(item.taxes.get("names", ()))
    return Charge(kind="one_off", name=item.name, exact=Fraction(item.amount), amount=item.amount, taxes=names)


def seller_of(settings: Settings) -> Party:
    """Who sends the invoices."""
    return Party(
        name=settings.seller_name,
        address=settings.seller_address.replace("|", "\n") or None,
        email=settings.seller_email or None,
        tax_id=settings.seller_tax_id or None,
    )


def buyer_of(around: Surroundings) -> Party:
    """Who is billed, as it stands on the invoice."""
    customer, profile = around.customer, around.profile
    return Party(
        name=profile.legal_name or customer.name,
        address=customer.address,
        email=customer.email,
        tax_id=profile.tax_id,
    )


def _serves(coupon: CustomerCoupon, currency: str, at: datetime) -> bool:
    if coupon.amount is not None and (coupon.currency != currency or not coupon.left):
        return False
    return coupon.invoices_left != 0 and (coupon.expires_at is None or at < coupon.expires_at)
