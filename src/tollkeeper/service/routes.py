"""The routes of an API's version, and their prices."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Annotated

from msgspec import Meta, Struct
from msgspec.structs import replace

from tollkeeper.billing.currencies import NO_CURRENCY, check_currency
from tollkeeper.billing.price import check_amount, check_new_price
from tollkeeper.billing.product import Api, ApiRoute, ApiVersion, RoutePrice
from tollkeeper.errors import ConflictError, UnprocessableError
from tollkeeper.events.ids import record_id
from tollkeeper.events.timestamps import END, EPOCH
from tollkeeper.service.fields import Currency, Endpoint, Name, Time
from tollkeeper.service.listing import find_named, find_record

if TYPE_CHECKING:
    from tollkeeper.service.audit import Edit

__all__ = ["NewPrice", "NewRoute", "create_price", "create_route", "set_retired"]

Method = Annotated[str, Meta(pattern=r"^[A-Z]{1,32}$(?!\n)", description="HTTP method in capitals.")]


class NewPrice(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A price per call to be set; ``valid_from`` is now when it is left out."""

    price: Decimal
    currency: Currency
    valid_from: Time | None = None


class NewRoute(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A route to be made. Its first price, when given, holds from the beginning of time, or from ``valid_from`` on.

    An ``endpoint`` of null is the default route of the version, a ``method`` of null any.
    """

    api: Name
    version: Name
    endpoint: Endpoint | None = None
    method: Method | None = None
    price: Decimal | None = None
    currency: Currency | None = None
    valid_from: Time | None = None


def create_route(edit: Edit, new: NewRoute) -> ApiRoute:
    """Make a route, with its first price when there is one; raises ConflictError or UnprocessableError."""
    api = find_named(edit.records, Api, new.api, "name")
    version = find_named(edit.records, ApiVersion, new.version, "name", api=api.id)
    if edit.records.find(ApiRoute, version=version.id, endpoint=new.endpoint, method=new.method):
        named = f"{new.method or 'any method'} {new.endpoint or '(default route)'}"
        raise ConflictError(f"{api.name} {version.name} has a route {named} already.")
    route = ApiRoute(
        id=record_id("rte"), version=version.id, endpoint=new.endpoint, method=new.method, created_at=edit.now
    )
    edit.add(route)
    if new.price is not None:
        if new.currency is None:
            raise UnprocessableError("The price has no currency: give one, e.g. EUR.")
        create_price(
            edit, route.id, NewPrice(price=new.price, currency=new.currency, valid_from=new.valid_from or EPOCH)
        )
    return route


def create_price(edit: Edit, route_id: str, new: NewPrice) -> RoutePrice:
    """Set what a call of a route costs from a time on; raises NotFoundError, ConflictError or UnprocessableError."""
    route = find_record(edit.records, ApiRoute, route_id)
    valid_from = new.valid_from or edit.now
    if not EPOCH <= valid_from < END:
        raise UnprocessableError("valid_from is not between 1970 and 9999: 1970-01-01T00:00:00Z is for ever.")
    check_amount("price", new.price)
    if new.price or new.currency != NO_CURRENCY:
        check_currency(new.currency)
    price = RoutePrice(
        id=record_id("prc"),
        route=route.id,
        price=new.price,
        currency=new.currency,
        valid_from=valid_from,
        created_at=edit.now,
    )
    check_new_price(edit.records.find(RoutePrice, route=route.id), price)
    edit.add(price)
    return price


def set_retired(edit: Edit, route_id: str, *, retired: bool) -> ApiRoute:
    """Close a route to calls, or open it again; what it was called for stays its own. Idempotent; NotFoundError."""
    old = find_record(edit.records, ApiRoute, route_id)
    if retired == (old.retired_at is not None):
        return old
    new = replace(old, retired_at=edit.now if retired else None)
    edit.replace(old, new)
    return new
