"""``/v1/subscriptions/{subscription}/prices``: what one subscription pays instead of the list's price."""

from __future__ import annotations

from typing import Any

from litestar import Request, Response, delete, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody

from tollkeeper.api.paging import AfterQuery, LimitQuery, paged
from tollkeeper.api.writing import ADMIN, Write, shown
from tollkeeper.billing.subscription import Subscription
from tollkeeper.service.bootstrap import Service
from tollkeeper.service.listing import Listed, find_record, list_records
from tollkeeper.service.selling.own_prices import (
    NewOwnPrice,
    OwnPriceView,
    add_own_price,
    end_own_price,
    show_own_price,
)
from tollkeeper.service.selling.priced import find_own_price
from tollkeeper.store.selling import SubscriptionPrice

__all__ = ["OWN_PRICE_HANDLERS"]

TAGS = ["Subscriptions"]
ALL = "/v1/subscriptions/{subscription:str}/prices"
ONE = f"{ALL}/{{price:str}}"


@get(ALL, sync_to_thread=True, summary="List prices of a subscription's own", tags=TAGS)
def get_own_prices(
    request: Request[Any, Any, Any],
    service: NamedDependency[Service],
    subscription: FromPath[str],
    after: AfterQuery = None,
    limit: LimitQuery = 50,
) -> Response[Listed[OwnPriceView]]:
    """List the prices of a subscription's own, oldest first."""
    with service.catalog.reading() as records:
        found = find_record(records, Subscription, subscription)
        listed = list_records(records, SubscriptionPrice, after=after, limit=limit, subscription=found.id)
    return paged(request, Listed([show_own_price(one) for one in listed.items], listed.next))


@post(ALL, sync_to_thread=True, opt=ADMIN, summary="Give a price of its own", tags=TAGS)
def post_own_price(
    write: NamedDependency[Write], subscription: FromPath[str], data: JSONBody[NewOwnPrice]
) -> Response[OwnPriceView]:
    """Have a price in the place of the list's, from now or another time on."""
    return write.create(
        lambda edit: show_own_price(add_own_price(edit, subscription, data)),
        data,
        f"subscriptions/{subscription}/prices",
    )


@get(ONE, sync_to_thread=True, summary="Show a price of its own", tags=TAGS)
def get_own_price(
    service: NamedDependency[Service], subscription: FromPath[str], price: FromPath[str]
) -> Response[OwnPriceView]:
    """Show a price of a subscription's own."""
    with service.catalog.reading() as records:
        return shown(show_own_price(find_own_price(records, subscription, price)))


@delete(ONE, sync_to_thread=True, opt=ADMIN, summary="End a price of its own", tags=TAGS)
def delete_own_price(
    write: NamedDependency[Write], subscription: FromPath[str], price: FromPath[str]
) -> Response[None]:
    """Have the list's price again from now on."""
    return write.remove(
        lambda edit: end_own_price(edit, subscription, price),
        lambda records: show_own_price(find_own_price(records, subscription, price)),
    )


OWN_PRICE_HANDLERS = [get_own_prices, post_own_price, get_own_price, delete_own_price]
