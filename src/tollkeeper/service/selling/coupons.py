"""Coupons of a customer: granted, and ended; never edited."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Annotated, Literal

from msgspec import Meta, Struct
from msgspec.structs import asdict, replace

from tollkeeper.billing.coupon import Coupon
from tollkeeper.billing.customer import Customer
from tollkeeper.errors import UnprocessableError
from tollkeeper.events.ids import record_id
from tollkeeper.service.fields import Currency, Name, Time
from tollkeeper.service.listing import find_record
from tollkeeper.service.selling.belonging import check_expiry, find_of
from tollkeeper.store.selling import CustomerCoupon

if TYPE_CHECKING:
    from tollkeeper.service.audit import Edit

__all__ = ["CouponView", "NewCoupon", "end_coupon", "grant_coupon", "show_coupon"]


class NewCoupon(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A coupon to be granted: ``percent`` off, or an ``amount`` in ``currency``.

    It serves on so many ``invoices``, left out: on all, and until it expires, left out: never.
    """

    name: Name
    percent: Decimal | None = None
    amount: Decimal | None = None
    currency: Currency | None = None
    invoices: Annotated[int, Meta(ge=1, le=10_000)] | None = None
    expires_at: Time | None = None


class CouponView(Struct, frozen=True, kw_only=True):
    """A coupon with what is ``left`` of its amount, and on how many invoices it serves yet; null is no end."""

    id: str
    customer: str
    name: str
    percent: Decimal | None
    amount: Decimal | None
    currency: str | None
    left: Decimal | None
    invoices_left: int | None
    expires_at: datetime | None
    state: Literal["active", "used_up", "expired"]
    created_at: datetime


def grant_coupon(edit: Edit, customer_id: str, new: NewCoupon) -> CustomerCoupon:
    """Grant a coupon; raises NotFoundError or UnprocessableError."""
    customer = find_record(edit.records, Customer, customer_id)
    made = record_id("cpn")
    Coupon(id=made, name=new.name, percent=new.percent, amount=new.amount, currency=new.currency)
    if not (new.percent or new.amount):
        raise UnprocessableError(f"The coupon {new.name!r} takes nothing off: give more than 0.")
    check_expiry(new.expires_at, edit.now)
    coupon = CustomerCoupon(
        id=made,
        customer=customer.id,
        name=new.name,
        percent=new.percent,
        amount=new.amount,
        currency=new.currency,
        left=new.amount,
        invoices_left=new.invoices,
        expires_at=new.expires_at,
        created_at=edit.now,
    )
    edit.add(coupon)
    return coupon


def end_coupon(edit: Edit, customer_id: str, coupon_id: str) -> CustomerCoupon:
    """Let a coupon expire now; one that has expired stays as it is. Raises NotFoundError."""
    old = find_of(edit.records, CustomerCoupon, customer_id, coupon_id)
    if old.expires_at is not None and old.expires_at <= edit.now:
        return old
    new = replace(old, expires_at=edit.now)
    edit.replace(old, new)
    return new


def show_coupon(coupon: CustomerCoupon, now: datetime) -> CouponView:
    """A coupon as it is shown."""
    is_expired = coupon.expires_at is not None and coupon.expires_at <= now
    is_used_up = coupon.invoices_left == 0 or (coupon.left is not None and not coupon.left)
    return CouponView(**asdict(coupon), state="expired" if is_expired else "used_up" if is_used_up else "active")
