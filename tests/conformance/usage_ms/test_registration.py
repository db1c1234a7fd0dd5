"""api-usage-ms: putting APIs and customers on board, subscribing and unsubscribing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tollkeeper.billing.customer import ApiKey, Customer
from tollkeeper.billing.product import Api as SoldApi
from tollkeeper.billing.product import ApiRoute, ApiVersion, RoutePrice
from tollkeeper.billing.resolve import Call
from tollkeeper.billing.subscription import Subscription
from tollkeeper.billing.terms import RouteLimit
from tollkeeper.events.fingerprint import fingerprint
from tollkeeper.service.resolution import load_resolver

if TYPE_CHECKING:
    from support.running import Api

OWN_KEY = "a-key-that-the-customer-has-already"
ORDERS = {"apiName": "orders", "apiVersion": "v1"}
PAID = {"pricePerCall": "0.0125", "currency": "EUR"}
ACME = {"customerName": "Acme", "pricingModelName": "gold"}


def post(api: Api, call: str, body: dict[str, Any], status: int) -> dict[str, Any]:
    answer = api.admin.post(f"/v1/internal/{call}", json=body)
    assert answer.status_code == status, answer.text
    if status >= 400:
        assert answer.headers["content-type"] == "application/problem+json"
    document: dict[str, Any] = answer.json()
    return document


@pytest.fixture
def gold(api: Api) -> Api:
    assert api.admin.post("/v1/plans", json={"name": "gold"}).status_code == 201
    return api


def found(api: Api, kind: type[Any]) -> list[Any]:
    with api.service.catalog.reading() as records:
        return records.find(kind)


def test_register_api_route_creates_api_route_and_api_route_price(api: Api) -> None:
    made = post(api, "registerAPIRoute", {**ORDERS, "endpointName": "/orders/{id}", **PAID}, 201)

    assert (made["api"], made["version"], made["endpoint"]) == ("orders", "v1", "/orders/{id}")
    assert (made["price"], made["currency"]) == ("0.0125", "EUR")
    (price,) = found(api, RoutePrice)
    assert price.route == made["id"]
    assert [route.id for route in found(api, ApiRoute)] == [made["id"]]
    assert [one.name for one in (*found(api, SoldApi), *found(api, ApiVersion))] == ["orders", "v1"]


def test_without_endpoint_name_it_is_the_default_route_of_the_api(api: Api) -> None:
    assert post(api, "registerAPIRoute", ORDERS, 201)["endpoint"] is None
    assert post(api, "registerAPIRoute", {**ORDERS, "endpointName": None, "apiVersion": "v2"}, 201)["endpoint"] is None
    assert [one.name for one in found(api, SoldApi)] == ["orders"]


def test_price_per_call_is_0_when_left_out(api: Api) -> None:
    assert post(api, "registerAPIRoute", ORDERS, 201)["price"] == "0"


def test_a_price_needs_a_currency(api: Api) -> None:
    problem = post(api, "registerAPIRoute", {**ORDERS, "pricePerCall": 0.5}, 400)
    assert problem["detail"] == "Missing: currency."


def test_a_route_that_is_registered_again_is_a_conflict(api: Api) -> None:
    post(api, "registerAPIRoute", {**ORDERS, **PAID}, 201)
    post(api, "registerAPIRoute", {**ORDERS, **PAID}, 409)
    assert len(found(api, RoutePrice)) == 1


@pytest.mark.parametrize(
    ("call", "missing"),
    [
        ("registerAPIRoute", "apiName, apiVersion"),
        ("registerAPICustomer", "customerName, pricingModelName"),
        ("subscribe", "customer or apiKey, apiName, pricingModelName"),
        ("unsubscribe", "customer or apiKey, apiName"),
    ],
)
def test_one_400_names_everything_that_is_missing(api: Api, call: str, missing: str) -> None:
    assert post(api, call, {}, 400)["detail"] == f"Missing: {missing}."


def test_register_api_customer_creates_customer_and_api_subscription(gold: Api) -> None:
    post(gold, "registerAPIRoute", ORDERS, 201)
    contact = {"address": "1, A Street", "email": "dev@acme.example"}
    made = post(gold, "registerAPICustomer", {**ACME, **contact, "apiKey": OWN_KEY, "apiName": "orders"}, 201)

    (customer,) = found(gold, Customer)
    assert (customer.name, customer.address, customer.email) == ("Acme", "1, A Street", "dev@acme.example")
    assert made["customer"]["id"] == customer.id
    (subscription,) = found(gold, Subscription)
    assert made["subscription"]["id"] == subscription.id
    assert (made["subscription"]["api"], made["subscription"]["plan"]) == ("orders", "gold")
    assert made["subscription"]["state"] == "active"


def test_without_api_name_the_subscription_is_to_every_api(gold: Api) -> None:
    made = post(gold, "registerAPICustomer", {**ACME, "apiKey": OWN_KEY}, 201)
    assert made["subscription"]["api"] is None


def test_without_api_key_one_is_generated_and_shown_once(gold: Api) -> None:
    made = post(gold, "registerAPICustomer", ACME, 201)
    secret = made["key"]["secret"]
    shown = gold.admin.get(f"/v1/keys/{made['key']['id']}")

    assert secret.startswith("tk_")
    assert shown.json()["secret"] is None
    assert secret not in shown.text
    (key,) = found(gold, ApiKey)
    assert key.fingerprint == fingerprint(secret)
    assert secret.encode() not in key.digest


def test_a_key_that_is_registered_again_is_a_conflict(gold: Api) -> None:
    post(gold, "registerAPICustomer", {**ACME, "apiKey": OWN_KEY}, 201)
    problem = post(gold, "registerAPICustomer", {**ACME, "customerName": "Other", "apiKey": OWN_KEY}, 409)

    assert OWN_KEY not in problem["detail"]
    assert len(found(gold, Customer)) == 1


def test_an_unknown_pricing_model_or_api_leaves_nothing_behind(gold: Api) -> None:
    post(gold, "registerAPICustomer", {**ACME, "pricingModelName": "lead"}, 422)
    post(gold, "registerAPICustomer", {**ACME, "apiName": "nowhere"}, 422)
    assert found(gold, Customer) == found(gold, ApiKey) == []


def test_a_customer_is_subscribed_to_an_api(gold: Api) -> None:
    post(gold, "registerAPIRoute", ORDERS, 201)
    made = post(gold, "registerAPICustomer", {**ACME, "apiKey": OWN_KEY}, 201)
    limits = [{"endpointName": "/orders", "limit": 100, "period": "day"}, {"limit": 1000}]
    wanted = {**ORDERS, "pricingModelName": "gold", "hasQuotaLimits": True, "limits": limits}
    subscription = post(gold, "subscribe", {"apiKey": OWN_KEY, **wanted}, 201)

    assert subscription["customer"] == made["id"]
    assert (subscription["api"], subscription["version"], subscription["has_quota_limits"]) == ("orders", "v1", True)
    assert [(one.endpoint, one.limit, one.period) for one in found(gold, RouteLimit)] == [
        ("/orders", 100, "day"),
        (None, 1000, "month"),
    ]
    post(gold, "subscribe", {"customer": made["id"], **wanted}, 409)


def test_an_admin_unsubscribes_an_api_for_a_customer(gold: Api) -> None:
    post(gold, "registerAPIRoute", ORDERS, 201)
    post(gold, "registerAPICustomer", {**ACME, "apiKey": OWN_KEY}, 201)
    made = post(gold, "subscribe", {"apiKey": OWN_KEY, **ORDERS, "pricingModelName": "gold"}, 201)
    ended = post(gold, "unsubscribe", {"apiKey": OWN_KEY, **ORDERS}, 200)

    assert (ended["id"], ended["state"]) == (made["id"], "ended")
    post(gold, "unsubscribe", {"apiKey": OWN_KEY, **ORDERS}, 404)
    post(gold, "subscribe", {"apiKey": OWN_KEY, **ORDERS, "pricingModelName": "gold"}, 201)


def test_an_unknown_key_is_401(gold: Api) -> None:
    problem = post(gold, "subscribe", {"apiKey": "unknown", **ORDERS, "pricingModelName": "gold"}, 401)
    assert problem["code"] == "unknown_api_key"


@pytest.mark.parametrize("call", ["registerAPIRoute", "registerAPICustomer", "subscribe", "unsubscribe"])
def test_the_internal_apis_need_an_admin_token(api: Api, call: str) -> None:
    assert api.anonymous.post(f"/v1/internal/{call}", json={}).status_code == 401
    for client in (api.read, api.ingest):
        assert client.post(f"/v1/internal/{call}", json={}).status_code == 403


@pytest.mark.parametrize("body", ["{", "[]", '"x"', '{"apiName": 1}', '{"unknown": 1}', '{"pricePerCall": "x"}'])
def test_a_malformed_request_is_400_and_stops_nothing(api: Api, body: str) -> None:
    answer = api.admin.post("/v1/internal/registerAPIRoute", content=body)

    assert answer.status_code == 400
    assert answer.headers["content-type"] == "application/problem+json"
    post(api, "registerAPIRoute", ORDERS, 201)


def test_prices_are_dated_rows_that_never_overlap(api: Api) -> None:
    route = post(api, "registerAPIRoute", {**ORDERS, **PAID}, 201)["id"]
    later = {"price": "0.02", "currency": "EUR", "valid_from": "2030-01-01T00:00:00Z"}
    assert api.admin.post(f"/v1/routes/{route}/prices", json=later).status_code == 201
    assert api.admin.post(f"/v1/routes/{route}/prices", json={**later, "price": "0.03"}).status_code == 409
    resolver = load_resolver(api.service.catalog, [])
    call = Call(api="orders", api_version="v1", endpoint="/any")
    prices = [resolver.resolve(call, time_us).price for time_us in (0, 1_893_455_999_999_999, 1_893_456_000_000_000)]

    assert [str(price.price) if price else None for price in prices] == ["0.0125", "0.0125", "0.02"]


def test_the_version_counts(api: Api) -> None:
    post(api, "registerAPIRoute", {**ORDERS, **PAID}, 201)
    post(api, "registerAPIRoute", {"apiName": "orders", "apiVersion": "v2", "pricePerCall": 1, "currency": "EUR"}, 201)
    resolver = load_resolver(api.service.catalog, [])

    for version, price in (("v1", "0.0125"), ("v2", "1")):
        found = resolver.resolve(Call(api="orders", api_version=version), 0).price
        assert found is not None
        assert str(found.price) == price
