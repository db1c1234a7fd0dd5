"""``/v1/internal``: registering and subscribing in the words of api-usage-ms."""

from __future__ import annotations

from typing import TYPE_CHECKING

from litestar import Response, post
from litestar.di import NamedDependency
from litestar.params import JSONBody
from msgspec import Struct

from tollkeeper.api.writing import ADMIN, Write
from tollkeeper.billing.customer import Customer
from tollkeeper.service.api_subscriptions import ApiSubscription, subscribe_api, unsubscribe_api
from tollkeeper.service.bootstrap import Service
from tollkeeper.service.registration import (
    ApiCustomerRegistration,
    ApiRouteRegistration,
    register_api_customer,
    register_api_route,
)
from tollkeeper.service.subscription_views import SubscriptionView, show_subscriptions
from tollkeeper.service.views import KeyView, RouteView, show_key, show_routes

if TYPE_CHECKING:
    from tollkeeper.service.audit import Edit

__all__ = ["REGISTRATION_HANDLERS"]

TAGS = ["Registration"]


class Registered(Struct, frozen=True, kw_only=True):
    """What registerAPICustomer made; ``key`` has the secret of the key, this once. ``id`` is the customer's."""

    id: str
    customer: Customer
    subscription: SubscriptionView
    key: KeyView


@post("/v1/internal/registerAPIRoute", sync_to_thread=True, opt=ADMIN, summary="Register a route", tags=TAGS)
def post_api_route(write: NamedDependency[Write], data: JSONBody[ApiRouteRegistration]) -> Response[RouteView]:
    """Make an API's route and its price, with the API and the version where they are missing."""
    return write.create(
        lambda edit: show_routes(edit.records, [register_api_route(edit, data)], edit.now)[0], data, "routes"
    )


@post("/v1/internal/registerAPICustomer", sync_to_thread=True, opt=ADMIN, summary="Register a customer", tags=TAGS)
def post_api_customer(
    service: NamedDependency[Service], write: NamedDependency[Write], data: JSONBody[ApiCustomerRegistration]
) -> Response[Registered]:
    """Make a customer with a key and a subscription."""

    def register(edit: Edit) -> Registered:
        customer, subscription, key, secret = register_api_customer(edit, service.keys, data)
        return Registered(
            id=customer.id,
            customer=customer,
            subscription=show_subscriptions(edit.records, [subscription], edit.now)[0],
            key=show_key(key, edit.now, secret=secret),
        )

    return write.create(register, data, "customers")


@post("/v1/internal/subscribe", sync_to_thread=True, opt=ADMIN, summary="Subscribe to an API", tags=TAGS)
def post_subscribe(
    service: NamedDependency[Service], write: NamedDependency[Write], data: JSONBody[ApiSubscription]
) -> Response[SubscriptionView]:
    """Subscribe a customer to an API."""
    return write.create(
        lambda edit: show_subscriptions(edit.records, [subscribe_api(edit, service.keys, data)], edit.now)[0],
        data,
        "subscriptions",
    )


@post(
    "/v1/internal/unsubscribe",
    sync_to_thread=True,
    status_code=200,
    opt=ADMIN,
    summary="Unsubscribe from an API",
    tags=TAGS,
)
def post_unsubscribe(
    service: NamedDependency[Service], write: NamedDependency[Write], data: JSONBody[ApiSubscription]
) -> Response[SubscriptionView]:
    """End a customer's subscription to an API at once."""
    return write.do(
        lambda edit: show_subscriptions(edit.records, [unsubscribe_api(edit, service.keys, data)], edit.now)[0], data
    )


REGISTRATION_HANDLERS = [post_api_route, post_api_customer, post_subscribe, post_unsubscribe]
