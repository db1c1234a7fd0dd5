"""Invoices and credit notes over HTTP."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from support.billing_shop import BillingShop, at
from support.running import Api, running
from tollkeeper.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Iterator

NOBODY = "/v1/invoices/none"


@pytest.fixture(scope="module")
def api() -> Iterator[Api]:
    """One service for all tests of this page."""
    with running(Settings(store="memory:", seller_name="Maps Inc")) as found:
        yield found


@pytest.fixture(scope="module")
def open_shop(api: Api) -> BillingShop:
    return BillingShop(api.service)


@pytest.fixture
def shop(open_shop: BillingShop) -> BillingShop:
    """Two new customers who called in September 2025 and have drafts of it."""
    open_shop.now = at("2025-09-01")
    for name, count in (("acme", 100), ("beta", 10)):
        open_shop.customer(name, currency="EUR", external_id=None)
        open_shop.call(name, at("2025-09-10"), count)
    open_shop.run("2025-09", at("2025-10-01"), customers=[open_shop.customers[name] for name in ("acme", "beta")])
    return open_shop


def path_of(shop: BillingShop, name: str = "acme") -> str:
    (invoice,) = shop.invoices(name)
    return f"/v1/invoices/{invoice.id}"


def test_invoices_are_listed_and_shown(api: Api, shop: BillingShop) -> None:
    (before,) = shop.invoices("acme")
    start = before.id[:-1]
    listed = api.read.get(f"/v1/invoices?after={start}").json()
    assert [(one["customer_name"], one["total"], one["state"]) for one in listed["items"]] == [
        ("acme", "1.00", "draft"),
        ("beta", "0.10", "draft"),
    ]
    first = api.read.get(f"/v1/invoices?limit=1&state=draft&period=2025-09&after={start}")
    assert first.json()["next"] == listed["items"][0]["id"]
    assert 'rel="next"' in first.headers["link"]
    assert api.read.get(f"/v1/invoices?after={first.json()['next']}").json()["items"] == listed["items"][1:]
    assert len(api.read.get(f"/v1/invoices?customer={shop.customers['beta']}").json()["items"]) == 1
    assert api.read.get(f"/v1/invoices?state=paid&after={start}").json() == {"items": [], "next": None}
    assert api.read.get("/v1/invoices?period=2025").status_code == 400
    assert api.read.get("/v1/invoices?state=lost").status_code == 400

    shown = api.read.get(path_of(shop)).json()
    (line,) = shown["lines"]
    assert (line["n"], line["kind"], line["name"], line["quantity"], line["net"], line["late"]) == (
        1,
        "usage",
        "GET /maps",
        "100",
        "1.00",
        False,
    )
    assert (shown["seller"]["name"], shown["buyer"]["name"], shown["credit_notes"]) == ("Maps Inc", "acme", [])
    assert api.read.get(NOBODY).status_code == 404


def test_an_invoice_lives_over_http(api: Api, shop: BillingShop) -> None:
    path = path_of(shop)
    seen = api.read.get(path)
    stale = {"If-Match": '"old"'}
    assert api.admin.post(f"{path}/finalize", headers=stale).status_code == 412
    key = {"Idempotency-Key": "one", "If-Match": seen.headers["etag"]}
    answers = [api.admin.post(f"{path}/finalize", headers=key) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [200, 200]
    assert answers[0].json() == answers[1].json()
    assert (answers[0].json()["number"][:7], answers[0].json()["state"]) == ("INV-000", "finalized")
    assert api.admin.post(f"{path}/finalize").json()["code"] == "conflict"

    note = {"lines": [{"n": 1, "amount": "0.40"}], "reason": "Sorry"}
    made = api.admin.post(f"{path}/credit-notes", json=note, headers={"Idempotency-Key": "two"})
    assert made.status_code == 201
    assert api.admin.post(f"{path}/credit-notes", json=note, headers={"Idempotency-Key": "two"}).json() == made.json()
    assert api.read.get(made.headers["location"]).json() == made.json()
    assert (made.json()["number"][:6], made.json()["total"], made.json()["lines"]) == (
        "CN-000",
        "0.40",
        [{"n": 1, "amount": "0.40"}],
    )
    assert api.read.get(path).json()["due"] == "0.60"
    assert api.admin.post(f"{path}/void").status_code == 409
    assert api.admin.post(f"{path}/pay").json()["state"] == "paid"
    rest = api.admin.post(f"{path}/credit-notes", json={}).json()
    listed = api.read.get(f"/v1/credit-notes?invoice={rest['invoice']}&limit=1").json()
    assert (listed["items"], listed["next"]) == ([made.json()], made.json()["id"])
    assert api.read.get(f"/v1/credit-notes?customer={shop.customers['beta']}").json()["items"] == []
    assert api.read.get("/v1/credit-notes/none").status_code == 404


def test_void_takes_back(api: Api, shop: BillingShop) -> None:
    draft = path_of(shop)
    gone = api.admin.post(f"{draft}/void", headers={"If-Match": api.read.get(draft).headers["etag"]})
    assert (gone.status_code, gone.json()["state"]) == (200, "void")
    assert api.read.get(draft).status_code == 404
    shop.run("2025-09", at("2025-10-05"), customers=[shop.customers["acme"]])
    path = path_of(shop)
    void = api.admin.post(f"{path}/void").json()
    assert (void["state"], void["number"][:7]) == ("void", "INV-000")
    assert api.read.get(path).json() == void


def test_an_invoice_by_hand(api: Api, shop: BillingShop) -> None:
    wanted = {"customer": shop.customers["acme"], "lines": [{"name": "Workshop", "amount": "100.00"}]}
    answers = [api.admin.post("/v1/invoices", json=wanted, headers={"Idempotency-Key": "three"}) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [201, 201]
    path = answers[0].headers["location"]
    assert api.read.get(path).json() == answers[1].json()
    assert (answers[0].json()["period"], answers[0].json()["total"]) == (None, "100.00")
    assert api.admin.post(f"{path}/finalize").json()["state"] == "finalized"
    for body, status in (
        (wanted | {"lines": []}, 400),
        ({"customer": "nobody", "lines": wanted["lines"]}, 422),
        (wanted | {"currency": "EURO"}, 400),
        (wanted | {"state": "paid"}, 400),
    ):
        assert api.admin.post("/v1/invoices", json=body).status_code == status
    assert len(shop.invoices("acme")) == 2


def test_the_events_of_a_line(api: Api, shop: BillingShop) -> None:
    path = f"{path_of(shop)}/lines"
    page = api.read.get(f"{path}/1/events?limit=60")
    rest = api.read.get(f"{path}/1/events?limit=60&after={page.json()['next']}").json()
    events = page.json()["items"] + rest["items"]
    assert (len(events), rest["next"]) == (100, None)
    assert [one["event"]["time"] for one in events] == sorted(one["event"]["time"] for one in events)
    assert 'rel="next"' in page.headers["link"]
    statuses = [api.read.get(f"{path}/{wrong}").status_code for wrong in ("2/events", "0/events", "1/events?after=x")]
    assert statuses == [404, 404, 400]


def test_a_preview_of_a_month(api: Api, shop: BillingShop) -> None:
    path = f"/v1/customers/{shop.customers['acme']}/invoice-preview"
    found: dict[str, Any] = api.read.get(f"{path}?period=2025-09").json()
    assert (found["period"], found["problems"]) == ("2025-09", [])
    assert [(one["currency"], one["total"], len(one["lines"])) for one in found["invoices"]] == [("EUR", "1.00", 1)]
    assert api.read.get(path).json()["invoices"] == []
    assert api.read.get(f"{path}?period=9000-01").status_code == 400
    assert api.read.get("/v1/customers/none/invoice-preview").status_code == 404


def test_who_may_bill(api: Api, shop: BillingShop) -> None:
    path = path_of(shop)
    for target in ("/v1/invoices", f"{path}/finalize", f"{path}/pay", f"{path}/void", f"{path}/credit-notes"):
        assert [client.post(target, json={}).status_code for client in (api.anonymous, api.read)] == [401, 403]
    assert [api.anonymous.get(target).status_code for target in ("/v1/invoices", path, "/v1/credit-notes")] == [401] * 3
    for verb in ("finalize", "pay", "void"):
        assert api.admin.post(f"{NOBODY}/{verb}").status_code == 404
    assert api.admin.post(f"{NOBODY}/credit-notes", json={}).status_code == 404
    assert api.admin.post(f"{path}/credit-notes", json={}).status_code == 409
