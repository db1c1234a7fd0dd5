"""What a subscription has prices of, and those of its own in their place."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tollkeeper.billing.customer import Customer
from tollkeeper.billing.models.flat_fee import FlatFee
from tollkeeper.billing.plan import Plan
from tollkeeper.billing.product import ApiRoute, ApiVersion, RoutePrice
from tollkeeper.billing.rate_card import rate_card
from tollkeeper.billing.terms import PlanChange
from tollkeeper.errors import NotFoundError, UnprocessableError
from tollkeeper.service.listing import find_record
from tollkeeper.store.selling import SubscriptionPrice

if TYPE_CHECKING:
    from tollkeeper.billing.subscription import Subscription
    from tollkeeper.store.protocols import Records

__all__ = ["find_own_price", "has_flat_fee"]


def find_own_price(records: Records, subscription_id: str, price_id: str) -> SubscriptionPrice:
    """Find a price of a subscription's own; raises NotFoundError."""
    found = find_record(records, SubscriptionPrice, price_id)
    if found.subscription != subscription_id:
        raise NotFoundError(f"The subscription {subscription_id[:100]!r} has no price {price_id[:100]!r} of its own.")
    return found


def has_flat_fee(records: Records, subscription: Subscription, price: str) -> bool:
    """Whether a price, by the id of a route or by its name in a plan of the subscription, is a fee for the period.

    Raises UnprocessableError for one that the subscription has not, and for a route when no currency is said.
    """
    route = records.get(ApiRoute, price)
    if route is not None:
        _check_route(records, subscription, route)
        return False
    known = {
        one.name: isinstance(one.rows[0].price, FlatFee)
        for plan in _plans(records, subscription)
        for one in rate_card(plan).prices
    }
    if price not in known:
        names = ", ".join(repr(name) for name in sorted(known)) or "none"
        raise UnprocessableError(
            f"There is no route {price[:100]!r}, and no such price of a plan of the subscription: give the id of a"
            f" route, or one of its prices: {names}."
        )
    return known[price]


def _check_route(records: Records, subscription: Subscription, route: ApiRoute) -> None:
    version = records.get(ApiVersion, route.version)
    if version is None or subscription.api not in {None, version.api} or subscription.version not in {None, version.id}:
        raise UnprocessableError(f"The subscription is not to the API of the route {route.id}: give one of its routes.")
    # A price of one's own is in the currency of the plan or the customer, else in that of the list.
    customer = find_record(records, Customer, subscription.customer)
    currencies = [customer.currency, *(plan.currency for plan in _plans(records, subscription))]
    if not any(currencies) and not records.page(RoutePrice, after=None, limit=1, route=route.id):
        raise UnprocessableError(
            f"The route {route.id} has no price in the list, and nothing says the currency of another: give the"
            " customer one."
        )


def _plans(records: Records, subscription: Subscription) -> list[Plan]:
    changes = records.find(PlanChange, subscription=subscription.id)
    return records.find(Plan, id=sorted({change.plan for change in changes}))
