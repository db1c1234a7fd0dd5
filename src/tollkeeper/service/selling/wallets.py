"""Wallets: prepaid credit of a customer, granted or paid for; topped up by another, and never edited."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Annotated, Literal

from msgspec import Meta, Struct
from msgspec.structs import asdict, replace

from tollkeeper.billing.customer import Customer
from tollkeeper.billing.money import check_payable
from tollkeeper.billing.price import check_amount
from tollkeeper.errors import UnprocessableError
from tollkeeper.events.ids import record_id
from tollkeeper.service.fields import Currency, Name, Time
from tollkeeper.service.listing import find_record
from tollkeeper.service.selling.belonging import check_expiry, find_of
from tollkeeper.store.selling import CustomerWallet

if TYPE_CHECKING:
    from tollkeeper.service.audit import Edit

__all__ = ["NewWallet", "WalletView", "add_wallet", "end_wallet", "show_wallet"]


class NewWallet(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Credit to be given to a customer; ``granted`` says that it was not paid for. A lower ``priority`` goes first."""

    name: Name
    currency: Currency
    amount: Decimal
    priority: Annotated[int, Meta(ge=-1000, le=1000)] = 0
    granted: bool = False
    expires_at: Time | None = None


class WalletView(Struct, frozen=True, kw_only=True):
    """A wallet with its ``balance``; ``invoice`` is the one whose total below zero it is."""

    id: str
    customer: str
    name: str
    currency: str
    amount: Decimal
    balance: Decimal
    priority: int
    granted: bool
    invoice: str | None
    expires_at: datetime | None
    state: Literal["active", "empty", "expired"]
    created_at: datetime


def add_wallet(edit: Edit, customer_id: str, new: NewWallet) -> CustomerWallet:
    """Give a customer credit; raises NotFoundError or UnprocessableError."""
    customer = find_record(edit.records, Customer, customer_id)
    if not check_payable("amount", check_amount("amount", new.amount), new.currency):
        raise UnprocessableError("amount is 0: give more than that.")
    check_expiry(new.expires_at, edit.now)
    wallet = CustomerWallet(
        id=record_id("wal"), customer=customer.id, balance=new.amount, created_at=edit.now, **asdict(new)
    )
    edit.add(wallet)
    return wallet


def end_wallet(edit: Edit, customer_id: str, wallet_id: str) -> CustomerWallet:
    """Let a wallet expire now, with what is left in it; one that has expired stays so. Raises NotFoundError."""
    old = find_of(edit.records, CustomerWallet, customer_id, wallet_id)
    if old.expires_at is not None and old.expires_at <= edit.now:
        return old
    new = replace(old, expires_at=edit.now)
    edit.replace(old, new)
    return new


def show_wallet(wallet: CustomerWallet, now: datetime) -> WalletView:
    """A wallet as it is shown."""
    is_expired = wallet.expires_at is not None and wallet.expires_at <= now
    return WalletView(**asdict(wallet), state="expired" if is_expired else "active" if wallet.balance else "empty")
