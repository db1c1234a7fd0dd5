"""Customers: who is billed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated
from zoneinfo import ZoneInfo

from msgspec import UNSET, Meta, Struct, UnsetType
from msgspec.structs import asdict, replace

from tollkeeper.billing.currencies import check_currency
from tollkeeper.billing.customer import Customer
from tollkeeper.billing.subscription import Subscription
from tollkeeper.errors import ConflictError, UnprocessableError
from tollkeeper.events.ids import record_id
from tollkeeper.service.fields import Currency, Email, Name
from tollkeeper.service.listing import find_record

if TYPE_CHECKING:
    from tollkeeper.service.audit import Edit

__all__ = ["CustomerPatch", "NewCustomer", "create_customer", "update_customer"]

Address = Annotated[str, Meta(max_length=2000)]
TimeZone = Annotated[str, Meta(max_length=64, description="IANA name, e.g. Europe/Berlin.")]


class NewCustomer(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A customer to be made."""

    name: Name
    address: Address | None = None
    email: Email | None = None
    currency: Currency | None = None
    time_zone: TimeZone = "UTC"
    external_id: Name | None = None


class CustomerPatch(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is to be changed of a customer; null takes a value away."""

    name: Name | UnsetType = UNSET
    address: Address | UnsetType | None = UNSET
    email: Email | UnsetType | None = UNSET
    currency: Currency | UnsetType | None = UNSET
    time_zone: TimeZone | UnsetType = UNSET
    external_id: Name | UnsetType | None = UNSET


def create_customer(edit: Edit, new: NewCustomer) -> Customer:
    """Make a customer; an external id that is taken raises ConflictError."""
    if new.currency is not None:
        check_currency(new.currency)
    customer = Customer(id=record_id("cus"), created_at=edit.now, **asdict(new))
    _check(edit, customer)
    edit.add(customer)
    return customer


def update_customer(edit: Edit, customer_id: str, patch: CustomerPatch) -> Customer:
    """Change a customer; raises NotFoundError, ConflictError or UnprocessableError."""
    old = find_record(edit.records, Customer, customer_id)
    new = replace(old, **{name: value for name, value in asdict(patch).items() if value is not UNSET})
    if new.currency is not None and new.currency != old.currency:
        check_currency(new.currency)
    _check(edit, new)
    if new.time_zone != old.time_zone and edit.records.find(Subscription, customer=old.id):
        raise ConflictError(
            f"{old.name!r} has subscriptions, whose periods are counted in {old.time_zone}: the time zone has to stay."
        )
    edit.replace(old, new)
    return new


def _check(edit: Edit, customer: Customer) -> None:
    try:
        ZoneInfo(customer.time_zone)
    except (KeyError, ValueError, OSError):
        raise UnprocessableError(
            f"time_zone is {customer.time_zone!r}: give the IANA name of a place, e.g. Europe/Berlin, or UTC."
        ) from None
    if customer.external_id is None:
        return
    for other in edit.records.find(Customer, external_id=customer.external_id):
        if other.id != customer.id:
            raise ConflictError(f"The external_id {customer.external_id!r} is that of the customer {other.id}.")
