"""Subscribing a customer to an API, and ending that, in the words of api-usage-ms."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from msgspec import Meta, Struct

from tollkeeper.billing.customer import Customer
from tollkeeper.billing.product import Api, ApiVersion
from tollkeeper.billing.subscription import Subscription, state_at
from tollkeeper.billing.terms import LimitPeriod
from tollkeeper.errors import AuthenticationError, NotFoundError
from tollkeeper.service.customer_search import find_customer
from tollkeeper.service.fields import Endpoint, Name
from tollkeeper.service.limits import NewLimit
from tollkeeper.service.listing import find_named
from tollkeeper.service.registration import require
from tollkeeper.service.subscription_life import cancel
from tollkeeper.service.subscriptions import NewSubscription, subscribe

if TYPE_CHECKING:
    from tollkeeper.service.audit import Edit
    from tollkeeper.service.keys import Keys

__all__ = ["ApiSubscription", "EndpointLimit", "subscribe_api", "unsubscribe_api"]


class EndpointLimit(Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """How many units of an endpoint a customer may use in a period; null is all endpoints together."""

    endpoint_name: Endpoint | None = None
    limit: Annotated[int, Meta(ge=0, le=2**53)]
    period: LimitPeriod = "month"


class ApiSubscription(Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """The parameters of subscribe and unsubscribe: ``customer`` or ``apiKey``, and which API.

    To subscribe, ``pricingModelName`` is required, too; unsubscribing looks at neither it nor what follows it.
    """

    customer: Name | None = None
    api_key: Name | None = None
    api_name: Name | None = None
    api_version: Name | None = None
    pricing_model_name: Name | None = None
    has_quota_limits: bool = False
    limits: list[EndpointLimit] = []


def subscribe_api(edit: Edit, keys: Keys, asked: ApiSubscription) -> Subscription:
    """Begin a subscription; raises InvalidRequestError, AuthenticationError, ConflictError or UnprocessableError."""
    require(
        **{"customer or apiKey": asked.customer or asked.api_key},
        apiName=asked.api_name,
        pricingModelName=asked.pricing_model_name,
    )
    wanted = NewSubscription(
        customer=_customer(edit, keys, asked).id,
        plan=asked.pricing_model_name or "",
        api=asked.api_name,
        version=asked.api_version,
        has_quota_limits=asked.has_quota_limits,
        limits=[
            NewLimit(endpoint=limit.endpoint_name, limit=limit.limit, period=limit.period) for limit in asked.limits
        ],
    )
    return subscribe(edit, wanted)


def unsubscribe_api(edit: Edit, keys: Keys, asked: ApiSubscription) -> Subscription:
    """End a subscription at once; NotFoundError when there is none, else as ``subscribe_api``."""
    require(**{"customer or apiKey": asked.customer or asked.api_key}, apiName=asked.api_name)
    customer = _customer(edit, keys, asked)
    api = find_named(edit.records, Api, asked.api_name or "", "name")
    version = find_named(edit.records, ApiVersion, asked.api_version, "name", api=api.id) if asked.api_version else None
    found = edit.records.find(Subscription, customer=customer.id, api=api.id, version=version.id if version else None)
    for subscription in found:
        if state_at(subscription, (), edit.now) != "ended":
            return cancel(edit, subscription.id, at_once=True)
    raise NotFoundError(f"{customer.name!r} has no subscription to {api.name!r} that could be ended.")


def _customer(edit: Edit, keys: Keys, asked: ApiSubscription) -> Customer:
    if asked.customer is not None:
        return find_customer(edit.records, asked.customer)
    key = keys.find(edit.records, asked.api_key or "")
    if key is None:
        raise AuthenticationError("The apiKey is not known: register its customer first.", code="unknown_api_key")
    return find_named(edit.records, Customer, key.customer)
