"""One-off items: lines that somebody puts onto the next invoice of a customer."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Annotated

from msgspec import Meta, Struct

from tollkeeper.billing.customer import Customer
from tollkeeper.billing.money import check_payable
from tollkeeper.billing.price import check_amount
from tollkeeper.errors import ConflictError, UnprocessableError
from tollkeeper.events.ids import record_id
from tollkeeper.events.timestamps import END, EPOCH
from tollkeeper.service.fields import Currency, Name, Time
from tollkeeper.service.listing import find_record
from tollkeeper.service.selling.belonging import find_of
from tollkeeper.service.selling.profiles import show_profile
from tollkeeper.store.selling import InvoiceItem

if TYPE_CHECKING:
    from tollkeeper.service.audit import Edit

__all__ = ["ItemView", "NewItem", "add_item", "remove_item", "show_item"]


class NewItem(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A line for the next invoice that ends behind ``at``, left out: now. An ``amount`` below zero takes off.

    ``taxes`` names those of the customer's that it bears, left out: all.
    """

    name: Name
    amount: Decimal
    currency: Currency
    taxes: Annotated[list[Name], Meta(max_length=10)] | None = None
    at: Time | None = None


class ItemView(Struct, frozen=True, kw_only=True):
    """A one-off item; ``invoice`` is the one that it came onto, null while it waits."""

    id: str
    customer: str
    name: str
    amount: Decimal
    currency: str
    taxes: list[str] | None
    invoice: str | None
    at: datetime
    created_at: datetime


def add_item(edit: Edit, customer_id: str, new: NewItem) -> InvoiceItem:
    """Put a line onto the next invoice; raises NotFoundError or UnprocessableError."""
    customer = find_record(edit.records, Customer, customer_id)
    if not check_amount("amount", new.amount.copy_abs()):
        raise UnprocessableError("amount is 0: give what the line comes to.")
    check_payable("amount", new.amount, new.currency)
    at = new.at or edit.now
    if not EPOCH <= at < END:
        raise UnprocessableError("at is not between 1970 and 9999: leave it out for now.")
    known = {rate.name for rate in show_profile(edit.records, customer.id).taxes}
    unknown = sorted(set(new.taxes or ()) - known)
    if unknown:
        raise UnprocessableError(
            f"The customer has no tax {unknown[0]!r}: add it to the billing profile, or leave taxes out for all."
        )
    item = InvoiceItem(
        id=record_id("itm"),
        customer=customer.id,
        name=new.name,
        amount=new.amount,
        currency=new.currency,
        taxes=None if new.taxes is None else {"names": new.taxes},
        at=at,
        created_at=edit.now,
    )
    edit.add(item)
    return item


def remove_item(edit: Edit, customer_id: str, item_id: str) -> None:
    """Take a line back that is on no invoice; raises NotFoundError, or ConflictError for one that is invoiced."""
    item = find_of(edit.records, InvoiceItem, customer_id, item_id)
    if item.invoice is not None:
        raise ConflictError(f"{item.name!r} is on the invoice {item.invoice}: credit it, or void that invoice.")
    edit.remove(item)


def show_item(item: InvoiceItem) -> ItemView:
    """An item as it is shown."""
    return ItemView(
        id=item.id,
        customer=item.customer,
        name=item.name,
        amount=item.amount,
        currency=item.currency,
        taxes=None if item.taxes is None else item.taxes["names"],
        invoice=item.invoice,
        at=item.at,
        created_at=item.created_at,
    )
