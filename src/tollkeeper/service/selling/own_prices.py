"""Prices of a subscription's own: dated rows in the place of the list's, which are added, and ended; never edited."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from tollkeeper.billing.models.flat_fee import FlatFee
from tollkeeper.billing.price_rows import PriceModel, PriceRow, check_rows, parse_price
from tollkeeper.billing.subscription import Subscription, SubscriptionPause, check_action, state_at
from tollkeeper.errors import ConflictError, UnprocessableError
from tollkeeper.events.ids import record_id
from tollkeeper.events.timestamps import END, EPOCH
from tollkeeper.service.fields import Name, Time
from tollkeeper.service.listing import find_record
from tollkeeper.service.selling.priced import find_own_price, has_flat_fee
from tollkeeper.store.invoices import Invoice, InvoiceLine
from tollkeeper.store.selling import SubscriptionPrice

if TYPE_CHECKING:
    from tollkeeper.service.audit import Edit
    from tollkeeper.store.protocols import Records

__all__ = ["NewOwnPrice", "OwnPriceView", "add_own_price", "end_own_price", "show_own_price"]

FIXED_STATES = ["finalized", "paid"]
A_MONTH = timedelta(days=32)
"""An invoice bills a month; one that is finalized by hand may be issued before its end."""


class NewOwnPrice(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A price for one subscription: of a route by its id, or of its plan by the name of the price.

    It is in the currency of the plan, else, for a route, in the customer's or that of the route's price.
    ``body`` is the price model. It holds from ``valid_from``, left out: now, to ``valid_to``, left out: until it is
    ended.
    """

    price: Name
    body: PriceModel
    valid_from: Time | None = None
    valid_to: Time | None = None


class OwnPriceView(Struct, frozen=True, kw_only=True):
    """A price of a subscription's own, in force in ``[valid_from, valid_to)``."""

    id: str
    subscription: str
    price: str
    body: PriceModel
    valid_from: datetime
    valid_to: datetime | None
    created_at: datetime


def add_own_price(edit: Edit, subscription_id: str, new: NewOwnPrice) -> SubscriptionPrice:
    """Give a subscription a price of its own; raises ConflictError or UnprocessableError."""
    subscription = _find_running(edit, subscription_id)
    if isinstance(new.body, FlatFee) != has_flat_fee(edit.records, subscription, new.price):
        is_of = "of usage: give another model than" if isinstance(new.body, FlatFee) else "a flat fee: give the model"
        raise UnprocessableError(f"The price {new.price[:100]!r} is {is_of} flat_fee.")
    row = PriceRow(price=new.body, valid_from=new.valid_from or edit.now, valid_to=new.valid_to or END)
    if not EPOCH <= row.valid_from < row.valid_to <= END:
        raise UnprocessableError("valid_from and valid_to are not between 1970 and 9999: leave valid_from out for now.")
    others = edit.records.find(SubscriptionPrice, subscription=subscription.id, price=new.price)
    check_rows([row, *(_row(other) for other in others)])
    _check_not_invoiced(edit.records, subscription, row.valid_from)
    made = SubscriptionPrice(
        id=record_id("spr"),
        subscription=subscription.id,
        price=new.price,
        body=msgspec.to_builtins(new.body),
        valid_from=row.valid_from,
        valid_to=new.valid_to,
        created_at=edit.now,
    )
    edit.add(made)
    return made


def end_own_price(edit: Edit, subscription_id: str, price_id: str) -> None:
    """Let the list's price hold again from now on; a row that has not begun is taken away, one that is over stays.

    Raises NotFoundError.
    """
    old = find_own_price(edit.records, subscription_id, price_id)
    if old.valid_from >= edit.now:
        edit.remove(old)
    elif old.valid_to is None or old.valid_to > edit.now:
        edit.replace(old, replace(old, valid_to=edit.now))


def show_own_price(price: SubscriptionPrice) -> OwnPriceView:
    """A price of a subscription's own as it is shown."""
    return OwnPriceView(
        id=price.id,
        subscription=price.subscription,
        price=price.price,
        body=parse_price(price.body),
        valid_from=price.valid_from,
        valid_to=price.valid_to,
        created_at=price.created_at,
    )


def _find_running(edit: Edit, subscription_id: str) -> Subscription:
    subscription = find_record(edit.records, Subscription, subscription_id)
    pauses = edit.records.find(SubscriptionPause, subscription=subscription.id)
    check_action("change", state_at(subscription, pauses, edit.now))
    return subscription


def _row(price: SubscriptionPrice) -> PriceRow:
    return PriceRow(price=parse_price(price.body), valid_from=price.valid_from, valid_to=price.valid_to or END)


def _check_not_invoiced(records: Records, subscription: Subscription, begin: datetime) -> None:
    """Refuse a price that begins before the end of what is invoiced for good."""
    later = {
        one.id: one
        for one in records.page(
            Invoice, after=None, limit=1_000, start=begin - A_MONTH, customer=subscription.customer, state=FIXED_STATES
        )
        if begin < one.ends_at
    }
    billed = {line.invoice for line in records.find(InvoiceLine, invoice=[*later], subscription=subscription.id)}
    last = max((later[one] for one in billed), key=lambda one: one.ends_at, default=None)
    if last is not None:
        raise ConflictError(
            f"The invoice {last.number} charges the subscription up to {last.ends_at.isoformat()} and is {last.state}:"
            " give a valid_from from then on, or void the invoice first."
        )
