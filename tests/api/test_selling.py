"""What the owner of an API writes down about money, over HTTP."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from support.running import running
from support.stores import store_url
from tollkeeper.settings import Settings
from tollkeeper.store.audit import AuditEntry

if TYPE_CHECKING:
    from collections.abc import Iterator

    from api.conftest import Api

PER_UNIT = {"model": "per_unit", "unit_price": "0.0001"}
TIERS = {"model": "graduated", "tiers": [{"up_to": "100", "unit_price": "0.1"}, {"unit_price": 0.05}]}


@pytest.fixture(scope="module", params=["memory", "sqlite"])
def shared(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    with running(Settings(store=store_url(request.param, tmp_path_factory.mktemp("selling")))) as api:
        yield api


@pytest.fixture
def api(shared: Api) -> Api:
    return shared


def made(running: Api, path: str, /, **body: Any) -> dict[str, Any]:
    answer = running.admin.post(f"/v1/{path}", json=body)
    assert answer.status_code == 201, answer.text
    found: dict[str, Any] = answer.json()
    assert answer.headers["location"] == f"/v1/{path}/{found['id']}"
    return found


def shown(api: Api, path: str) -> Any:
    answer = api.read.get(f"/v1/{path}")
    assert answer.status_code == 200, answer.text
    return answer.json()


def refused(api: Api, path: str, status: int, said: str, **body: Any) -> None:
    answer = api.admin.post(f"/v1/{path}", json=body)
    assert answer.status_code == status, answer.text
    assert said in answer.json()["detail"]


def test_meters_are_made_found_and_taken_away(api: Api) -> None:
    large = {"field": "variables.model", "one_of": ["large"]}
    body = {"name": "tokens", "aggregation": "sum", "field": "variables.tokens", "filters": [large]}
    meter = made(api, "meters", **body)
    assert meter == body | {"id": meter["id"], "percentile": None, "group_by": [], "created_at": meter["created_at"]}
    assert shown(api, "meters?name=tokens") == {"items": [meter], "next": None}
    assert shown(api, f"meters/{meter['id']}") == meter
    customer = made(api, "customers", name="Acme")
    value = shown(api, f"meters/{meter['id']}/value?customer={customer['id']}&from=2026-10-01&to=2026-11-01")
    assert (value["value"], value["groups"], value["start"]) == ("0", [], "2026-10-01T00:00:00Z")

    refused(api, "meters", 409, "meter 'tokens' already", **body)
    refused(api, "meters", 422, "no field 'colour'", name="x", aggregation="sum", field="colour")
    refused(api, "meters", 400, "average", name="x", aggregation="average")
    path = f"/v1/meters/{meter['id']}"
    assert api.admin.delete(path, headers={"If-Match": '"other"'}).status_code == 412
    assert api.admin.delete(path).status_code == 204
    assert api.read.get(path).status_code == 404
    assert api.read.get(f"{path}/value?customer={customer['id']}").status_code == 404
    assert api.read.get(f"{path}/value").status_code == 400


def test_a_plan_has_a_fee_and_prices_that_are_added_to(api: Api) -> None:
    made(api, "meters", name="calls", aggregation="count")
    prices = [{"name": "calls", "meter": "calls", "rows": [{"price": TIERS}], "maximum": "50"}]
    plan = made(api, "plans", name="pro", currency="EUR", fee="20", minimum=25.5, prorate_by="day", prices=prices)
    assert (plan["fee"], plan["minimum"], plan["prorated"], plan["prorate_by"]) == ("20", "25.5", True, "day")
    tiers = [{"up_to": "100", "unit_price": "0.1"}, {"unit_price": "0.05"}]
    assert plan["prices"] == [prices[0] | {"rows": [{"price": TIERS | {"tiers": tiers}}]}]
    customer = made(api, "customers", name="Umbrella")
    made(api, "subscriptions", customer=customer["id"], plan="pro")

    path = f"/v1/plans/{plan['id']}"
    body = {"name": "calls", "price": PER_UNIT, "valid_from": "2999-01-01T00:00:00+01:00"}
    key = {"Idempotency-Key": "one-more-row"}
    changed = api.admin.post(f"{path}/prices", json=body, headers=key)
    assert (changed.status_code, changed.json()) == (200, shown(api, f"plans/{plan['id']}"))
    assert api.admin.post(f"{path}/prices", json=body, headers=key).json() == changed.json()
    first, second = changed.json()["prices"][0]["rows"]
    assert (first["valid_to"], second) == (
        "2999-01-01T00:00:00+01:00",
        {"price": PER_UNIT, "valid_from": "2999-01-01T00:00:00+01:00"},
    )
    late = {"name": "more", "meter": "calls", "rows": [{"price": PER_UNIT}]}
    for patch, said in (
        ({"fee": "21"}, "in use"),
        ({"prices": prices}, "keep the row"),
        ({"prices": [*changed.json()["prices"], late]}, "still to come"),
    ):
        answer = api.admin.patch(path, json=patch)
        assert (answer.status_code, said in answer.json()["detail"]) == (409, True), answer.text
    assert api.admin.patch(path, json={"prices": changed.json()["prices"]}).json() == changed.json()


def test_what_no_price_can_be_is_told(api: Api) -> None:
    rows = [{"price": PER_UNIT}, {"price": PER_UNIT}]
    wrong: list[tuple[dict[str, Any], int, str]] = [
        ({"fee": "1"}, 422, "give its currency"),
        ({"prorate_by": "hour"}, 400, "hour"),
        ({"currency": "EUR", "prices": [{"name": "x", "meter": "x", "rows": rows}]}, 409, "in force together"),
        ({"currency": "EUR", "prices": [{"name": "x", "meter": "nobody's", "rows": rows[:1]}]}, 422, "no meter"),
        ({"prices": [{"name": "x", "meter": "x", "rows": [{"price": {"model": "cheap"}}]}]}, 400, "cheap"),
        ({"prices": [{"name": "x", "meter": "x", "rows": [{"price": {"model": "volume", "tiers": []}}]}]}, 422, "tier"),
    ]
    for body, status, said in wrong:
        refused(api, "plans", status, said, name="x", **body)


def test_a_subscription_has_prices_of_its_own(api: Api) -> None:
    maps = made(api, "apis", name="maps")["id"]
    made(api, f"apis/{maps}/versions", name="v1")
    route = made(api, "routes", api="maps", version="v1", price="0.01", currency="EUR")
    made(api, "plans", name="basic")
    customer = made(api, "customers", name="Initech")
    subscription = made(api, "subscriptions", customer=customer["id"], plan="basic")
    path = f"subscriptions/{subscription['id']}/prices"
    own = made(api, path, price=route["id"], body=PER_UNIT)
    assert (own["price"], own["body"], own["valid_to"]) == (route["id"], PER_UNIT, None)
    assert shown(api, path) == {"items": [own], "next": None}
    assert shown(api, f"{path}/{own['id']}") == own
    refused(api, path, 409, "in force together", price=route["id"], body=PER_UNIT)
    refused(api, path, 422, "There is no route 'x'", price="x", body=PER_UNIT)
    refused(api, path, 400, "unit_price", price=route["id"], body={"model": "per_unit"})
    assert api.admin.delete(f"/v1/{path}/{own['id']}").status_code == 204
    (ended,) = shown(api, path)["items"]
    assert ended["valid_to"] is not None
    assert api.read.get("/v1/subscriptions/sub_none/prices").status_code == 404
    assert api.read.get(f"/v1/subscriptions/sub_none/prices/{own['id']}").status_code == 404


@pytest.mark.parametrize(
    ("collection", "body", "wrong"),
    [
        ("coupons", {"name": "Welcome", "percent": "10", "invoices": 2}, {"name": "x", "percent": "101"}),
        (
            "wallets",
            {"name": "Prepaid", "amount": "50", "currency": "EUR"},
            {"name": "x", "amount": 0, "currency": "EUR"},
        ),
    ],
)
def test_credits_are_granted_and_ended(api: Api, collection: str, body: dict[str, Any], wrong: dict[str, Any]) -> None:
    customer, other = (made(api, "customers", name=name)["id"] for name in ("Acme", "Umbrella"))
    path = f"customers/{customer}/{collection}"
    one = made(api, path, **body)
    assert (one["customer"], one["state"]) == (customer, "active")
    assert shown(api, path) == {"items": [one], "next": None}
    answer = api.read.get(f"/v1/{path}/{one['id']}")
    assert answer.json() == one
    refused(api, path, 422, "x" if collection == "coupons" else "amount is 0", **wrong)
    assert api.read.get(f"/v1/customers/{other}/{collection}/{one['id']}").status_code == 404
    assert api.read.get(f"/v1/customers/cus_none/{collection}").status_code == 404
    assert api.read.delete(f"/v1/{path}/{one['id']}").status_code == 403

    ended = api.admin.delete(f"/v1/{path}/{one['id']}", headers={"If-Match": answer.headers["etag"]})
    assert (ended.status_code, shown(api, f"{path}/{one['id']}")["state"]) == (204, "expired")
    with api.service.catalog.reading() as records:
        assert [entry.action for entry in records.find(AuditEntry, record=one["id"])] == ["create", "update"]


def test_items_and_the_billing_profile_of_a_customer(api: Api) -> None:
    customer = made(api, "customers", name="Acme")["id"]
    path = f"customers/{customer}/billing"
    seen = api.read.get(f"/v1/{path}")
    assert seen.json() == {
        "customer": customer, "legal_name": None, "tax_id": None, "language": "en", "taxes": [],
        "tax_inclusive": False, "net_days": None,
    }  # fmt: skip
    vat = {"name": "VAT", "percent": "19"}
    patch = {"legal_name": "Acme GmbH", "language": "de", "taxes": [vat], "net_days": 14}
    changed = api.admin.patch(f"/v1/{path}", json=patch, headers={"If-Match": seen.headers["etag"]})
    assert (changed.status_code, changed.json()) == (200, seen.json() | patch)
    stale = {"If-Match": seen.headers["etag"]}
    assert api.admin.patch(f"/v1/{path}", json={"tax_inclusive": True}, headers=stale).status_code == 412
    assert api.admin.patch(f"/v1/{path}", json={"language": "de_DE"}).status_code == 400
    assert api.admin.patch(f"/v1/{path}", json={"taxes": [vat, vat]}).status_code == 422
    assert api.read.get("/v1/customers/cus_none/billing").status_code == 404

    items = f"customers/{customer}/items"
    item = made(api, items, name="Setup", amount="-9.90", currency="EUR", taxes=["VAT"])
    assert (item["amount"], item["taxes"], item["invoice"]) == ("-9.90", ["VAT"], None)
    assert shown(api, items)["items"] == [shown(api, f"{items}/{item['id']}")] == [item]
    assert api.admin.patch(f"/v1/{path}", json={"taxes": []}).status_code == 409
    refused(api, items, 422, "amount is 0", name="x", amount="0", currency="EUR")
    assert api.admin.delete(f"/v1/{items}/{item['id']}").status_code == 204
    assert shown(api, items)["items"] == []


@pytest.mark.parametrize("number", ["NaN", "sNaN", "Infinity", "-1", "1E+999999", "1E-999999"])
def test_numbers_that_are_no_amounts_are_refused(api: Api, number: str) -> None:
    """None of them is worked with before it is looked at: some take for ever, and some cannot be compared."""
    customer, name = f"customers/{made(api, 'customers', name='Acme')['id']}", "x"
    price = {"model": "per_unit", "unit_price": number}
    wrong: list[tuple[str, dict[str, Any]]] = [
        ("plans", {"name": name, "currency": "EUR", "fee": number}),
        ("plans", {"name": name, "currency": "EUR", "minimum": number}),
        (
            "plans",
            {"name": name, "currency": "EUR", "prices": [{"name": name, "meter": name, "rows": [{"price": price}]}]},
        ),
        (f"{customer}/coupons", {"name": name, "percent": number}),
        (f"{customer}/coupons", {"name": name, "amount": number, "currency": "EUR"}),
        (f"{customer}/wallets", {"name": name, "amount": number, "currency": "EUR"}),
        ("meters", {"name": name, "aggregation": "percentile", "field": "units", "percentile": number}),
    ]
    for path, body in wrong:
        refused(api, path, 422, "", **body)
    if number != "-1":
        refused(api, f"{customer}/items", 422, "amount is", name=name, amount=number, currency="EUR")
        filters = [{"field": "units", "below": number}]
        refused(api, "meters", 422, "units", name=name, aggregation="count", filters=filters)
    answer = api.admin.patch(f"/v1/{customer}/billing", json={"taxes": [{"name": "VAT", "percent": number}]})
    assert answer.status_code == 422
    lines = [{"name": name, "amount": number}]
    if number != "-1":
        refused(api, "invoices", 422, "amount is", customer=customer.split("/")[1], currency="EUR", lines=lines)


def test_a_credit_of_a_huge_number_is_refused_at_once(api: Api) -> None:
    customer = made(api, "customers", name="Acme", currency="EUR")["id"]
    draft = api.admin.post("/v1/invoices", json={"customer": customer, "lines": [{"name": "x", "amount": "1"}]}).json()
    assert api.admin.post(f"/v1/invoices/{draft['id']}/finalize").status_code == 200
    for number in ("1e999999999", "-1e999999999", "1e-999999999", "sNaN"):
        answer = api.admin.post(
            f"/v1/invoices/{draft['id']}/credit-notes", json={"lines": [{"n": 1, "amount": number}]}, timeout=5
        )
        assert answer.status_code == 422, answer.text


def test_no_line_end_comes_in_behind_an_address_or_a_language(api: Api) -> None:
    refused(api, "customers", 400, "email", name="Acme", email="ann@example.com\n")
    customer = made(api, "customers", name="Acme", email="ann@example.com")["id"]
    for language, status in (("de\n", 400), ("de", 200)):
        answer = api.admin.patch(f"/v1/customers/{customer}/billing", json={"language": language})
        assert answer.status_code == status


def test_what_is_refused_is_told_in_few_words(api: Api) -> None:
    answer = api.admin.post("/v1/plans", json={"name": "x", "currency": "EUR", "fee": "9" * 90_000})
    assert answer.status_code == 422
    assert len(answer.content) < 300
    percentile = {"name": "x", "aggregation": "percentile", "field": "units", "percentile": "9" * 90_000}
    assert len(api.admin.post("/v1/meters", json=percentile).content) < 300


def test_json_that_is_nested_too_deep_is_the_callers_fault(api: Api) -> None:
    for path in ("meters", "plans", "simulations", "invoices"):
        deep = f'{{"x": {"[" * 30_000}{"]" * 30_000}}}'
        answer = api.admin.post(f"/v1/{path}", content=deep, headers={"Content-Type": "application/json"})
        assert answer.status_code == 400, answer.text
        assert "nested too deep" in answer.json()["detail"]


def test_a_route_is_tried_out_with_so_many_prices_at_most(api: Api) -> None:
    prices = [{"price": "1", "currency": "EUR"}] * 1_001
    body = {"period": "2026-10", "routes": [{"api": "shop", "version": "v1", "price": prices}]}
    answer = api.admin.post("/v1/simulations", json=body)
    assert answer.status_code == 400
    assert "1000" in answer.json()["detail"]


def test_only_currencies_of_iso_4217_are_taken(api: Api) -> None:
    refused(api, "customers", 422, "ISO 4217", name="x", currency="XXX")
    customer = made(api, "customers", name="x")["id"]
    assert api.admin.patch(f"/v1/customers/{customer}", json={"currency": "XAU"}).status_code == 422
    assert api.admin.patch(f"/v1/customers/{customer}", json={"currency": "KWD"}).status_code == 200
    refused(api, "plans", 422, "ISO 4217", name="x", currency="DEM")


def test_the_description_tells_the_models_of_prices(api: Api) -> None:
    schemas = shown(api, "../openapi.json")["components"]["schemas"]
    assert {"PerUnit", "Graduated", "FlatFee", "MeterView", "CouponViewPage"} <= schemas.keys()
