"""Quotas on the pages: as meters, as a list, and with grants."""

from __future__ import annotations

import csv
import html
import re
from typing import TYPE_CHECKING

import pytest

from support.markup import forms, part, rows
from support.quotas import LONG, Limited, open_limited
from support.shop import EVIL
from tollkeeper.billing.limit import Limit, QuotaGrant
from tollkeeper.service.audit import editing
from tollkeeper.service.customers import CustomerPatch, update_customer
from tollkeeper.service.plans import NewPlan, create_plan
from tollkeeper.service.subscriptions import NewSubscription, subscribe

if TYPE_CHECKING:
    from litestar import Litestar
    from litestar.testing import TestClient

    from tollkeeper.service.bootstrap import Service

    Client = TestClient[Litestar]

ENGINE = "memory"
NONE = "\N{EN DASH}"


@pytest.fixture
def limited(service: Service) -> Limited:
    return open_limited(service)


def grants(service: Service) -> list[QuotaGrant]:
    with service.catalog.reading() as records:
        return records.find(QuotaGrant)


def test_quotas_are_listed_the_fullest_first(client: Client, limited: Limited) -> None:
    text = client.get("/quotas").text
    found = rows(text)
    assert len(found) == 23
    assert found[0][:5] == ["Cyberdyne Systems", "137% over", "1,374 of 1,000", "0", "1,000 a month soft"]
    assert found[1][:4] == ["Hooli", "100% full", "100,000 of 100,000", "0"]
    assert [row[1] for row in found[2:8]] == ["97%", "95%", "82%", "80%", "79%", "61%"]
    assert found[9][4:6] == ["5,000 a day of /forecasts/{id}", "forecasts: gold"]
    levels = re.findall(r'class="meter (\w+)"', text)
    assert levels[:8] == ["full"] * 4 + ["near"] * 2 + ["fine"] * 2
    assert f"/customers/{limited.customers['Hooli']}#subscriptions" in text


def test_quotas_can_be_narrowed_and_ordered(client: Client, limited: Limited) -> None:
    assert [row[0] for row in rows(client.get("/quotas?state=exceeded").text)] == ["Cyberdyne Systems", "Hooli"]
    text = client.get("/quotas", params={"customer": LONG, "state": "near"}).text
    assert [row[0] for row in rows(text)] == [LONG]
    assert "Nearly used up" in text
    assert "Remove the filter state" in text
    oldest = client.get("/quotas?order=made").text
    assert rows(oldest)[0][0] == "Acme Ltd"
    assert 'aria-sort="ascending"' in oldest
    assert "No quota matches" in client.get("/quotas?customer=nobody").text
    assert "No more quotas" in client.get("/quotas?order=made&after=0.0|zzz|").text
    for query in ("state=x", "order=x", "after=x"):
        assert client.get(f"/quotas?{query}").status_code == 400
    assert limited.customers


def test_many_quotas_come_in_pages(client: Client, limited: Limited, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tollkeeper.dashboard.quotas.PAGE", 9)
    seen: list[list[str]] = []
    address: str | None = "/quotas"
    while address:
        text = client.get(address).text
        seen += rows(text)
        found = [html.unescape(link) for link in re.findall(r'href="(/quotas\?[^"]*after=[^"]*)"', text)]
        address = found[0] if found else None
    assert len({(row[0], row[4]) for row in seen}) == len(seen) == 23
    assert limited.customers


@pytest.mark.parametrize("order", ["fullest", "made"])
def test_quotas_are_sent_as_csv(client: Client, limited: Limited, monkeypatch: pytest.MonkeyPatch, order: str) -> None:
    monkeypatch.setattr("tollkeeper.dashboard.quotas.CSV_PAGE", 7)
    found = list(csv.DictReader(client.get(f"/quotas.csv?order={order}").text.splitlines()))
    assert len(found) == 23
    assert (found[0]["customer_name"] == "Cyberdyne Systems") == (order == "fullest")
    (globex,) = csv.DictReader(client.get("/quotas.csv?customer=Globex&state=near").text.splitlines())
    assert (globex["quota"], globex["used"], globex["held"], globex["share"]) == ("125000", "102500", "3", "0.82")
    assert limited.customers


def test_without_limits_the_next_step_is_shown(client: Client) -> None:
    text = client.get("/quotas").text
    assert "No limit yet" in text
    assert "tollkeeper plan add gold --limit 100000/month" in text


def test_the_list_of_customers_shows_the_fullest_quota(client: Client, limited: Limited) -> None:
    shown = {row[0]: row[1] for row in rows(client.get("/customers").text)}
    assert (shown["Acme Ltd"], shown["Globex"], shown["Hooli"]) == ("42%", "82%", "100% full")
    assert len(list(csv.DictReader(client.get("/customers.csv").text.splitlines()))) == 12
    assert limited.customers


def test_a_customer_shows_all_limits(client: Client, limited: Limited) -> None:
    text = part(client.get(f"/customers/{limited.customers['Globex']}").text, "subscriptions")
    month, day = rows(text)
    assert month[:6] == ["100,000 a month", "82%", "102,500 of 125,000", "22,497", "3", "25,000"]
    assert day[:6] == ["5,000 a day of /forecasts/{id}", "0%", "0 of 5,000", "5,000", NONE, NONE]
    assert "50 a second, 200 at once" in text
    assert ">Sorry<" in text.replace(": Sorry", ">Sorry")
    assert "Carried over" not in text
    assert "Grant</button>" not in text


def test_units_are_granted(editor: Client, service: Service, limited: Limited) -> None:
    customer, subscription = limited.customers["Hooli"], limited.subscriptions["Hooli"]
    address = f"/subscriptions/{subscription}/grants"
    assert forms(editor.get(f"/customers/{customer}").text).count(address) == 2
    given = {"limit": "all month", "units": "25000.5", "note": ""}
    answer = editor.post(address, data=given)
    assert (answer.status_code, answer.headers["location"]) == (303, f"/customers/{customer}#subscriptions")
    made = grants(service)[-1]
    assert (made.subscription, made.units, made.note) == (subscription, 25_000_500_000, None)
    assert rows(part(editor.get(f"/customers/{customer}").text, "subscriptions"))[0][1] == "79%"
    for wrong in ({"units": "x"}, {"units": "-1"}, {"limit": "all year"}, {"units": ""}):
        refused = editor.post(address, data=given | wrong)
        assert refused.status_code == 422
        assert 'role="alert"' in refused.text
    assert len(grants(service)) == 2


def test_only_who_may_write_here_grants(client: Client, editor: Client, service: Service, limited: Limited) -> None:
    address = f"/subscriptions/{limited.subscriptions['Hooli']}/grants"
    given = {"limit": "all month", "units": "1"}
    assert client.post(address, data=given).status_code == 403
    assert editor.post(address, data=given, headers={"Sec-Fetch-Site": "cross-site"}).status_code == 403
    assert editor.post("/subscriptions/sub_0/grants", data=given).status_code == 404
    assert len(grants(service)) == 1


def test_hostile_names_stay_text(editor: Client, service: Service, limited: Limited) -> None:
    with editing(service.catalog, "ann") as edit:
        create_plan(edit, NewPlan(name=EVIL, limits=[Limit(limit=7, endpoint=EVIL, period="billing")]))
        update_customer(edit, limited.customers["Hooli"], CustomerPatch(name=EVIL))
        subscribe(edit, NewSubscription(customer=limited.customers["Hooli"], plan=EVIL))
    for address in ("/quotas", f"/quotas?customer={EVIL}", f"/customers/{limited.customers['Hooli']}", "/customers"):
        text = editor.get(address).text
        assert "<script>alert" not in text
        assert "&lt;script&gt;alert" in text
    assert "7 a billing period of <code>&lt;script" in editor.get("/quotas").text
