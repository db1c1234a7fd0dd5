"""Registering APIs and customers in the words of api-usage-ms, over the same verbs as everything else."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Annotated

from msgspec import Meta, Struct

from tollkeeper.billing.currencies import NO_CURRENCY
from tollkeeper.errors import InvalidRequestError
from tollkeeper.service.customers import NewCustomer, create_customer
from tollkeeper.service.fields import Currency, Email, Endpoint, Name
from tollkeeper.service.keys import NewKey
from tollkeeper.service.products import ensure_version
from tollkeeper.service.routes import NewRoute, create_route
from tollkeeper.service.subscriptions import NewSubscription, subscribe

if TYPE_CHECKING:
    from tollkeeper.billing.customer import ApiKey, Customer
    from tollkeeper.billing.product import ApiRoute
    from tollkeeper.billing.subscription import Subscription
    from tollkeeper.service.audit import Edit
    from tollkeeper.service.keys import Keys

__all__ = ["ApiCustomerRegistration", "ApiRouteRegistration", "register_api_customer", "register_api_route"]


class ApiRouteRegistration(Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """The parameters of registerAPIRoute; ``apiName`` and ``apiVersion`` are required."""

    api_name: Name | None = None
    api_version: Name | None = None
    endpoint_name: Endpoint | None = None
    price_per_call: Decimal = Decimal(0)
    currency: Currency | None = None


class ApiCustomerRegistration(Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """The parameters of registerAPICustomer; ``customerName`` and ``pricingModelName`` are required."""

    api_key: Annotated[str, Meta(min_length=16, max_length=512)] | None = None
    customer_name: Name | None = None
    address: Annotated[str, Meta(max_length=2000)] | None = None
    email: Email | None = None
    pricing_model_name: Name | None = None
    api_name: Name | None = None


def register_api_route(edit: Edit, asked: ApiRouteRegistration) -> ApiRoute:
    """Make a route and its price, with the API and the version where they are missing.

    Raises InvalidRequestError for what is missing, ConflictError when the route is there.
    """
    require(apiName=asked.api_name, apiVersion=asked.api_version)
    if asked.price_per_call:
        require(currency=asked.currency)
    version = ensure_version(edit, asked.api_name or "", asked.api_version or "")
    new = NewRoute(
        api=version.api,
        version=version.id,
        endpoint=asked.endpoint_name,
        price=asked.price_per_call,
        currency=asked.currency or NO_CURRENCY,
    )
    return create_route(edit, new)


def register_api_customer(
    edit: Edit, keys: Keys, asked: ApiCustomerRegistration
) -> tuple[Customer, Subscription, ApiKey, str]:
    """Make a customer, a key and a subscription, to every API when none is named; with the key's secret.

    Raises InvalidRequestError for what is missing, ConflictError when the key is registered, UnprocessableError.
    """
    require(customerName=asked.customer_name, pricingModelName=asked.pricing_model_name)
    new = NewCustomer(name=asked.customer_name or "", address=asked.address, email=asked.email)
    customer = create_customer(edit, new)
    key, secret = keys.create(edit, NewKey(customer=customer.id, key=asked.api_key))
    wanted = NewSubscription(customer=customer.id, plan=asked.pricing_model_name or "", api=asked.api_name)
    return customer, subscribe(edit, wanted), key, secret


def require(**parameters: object) -> None:
    """Refuse a request that lacks parameters; one InvalidRequestError names all of them."""
    if missing := [name for name, value in parameters.items() if value is None]:
        raise InvalidRequestError(f"Missing: {', '.join(missing)}.", code="missing_parameter")
