from __future__ import annotations

import csv
import html
import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from support.markup import rows
from support.shop import EVIL, Shop
from tollkeeper.service.audit import editing
from tollkeeper.service.customers import CustomerPatch, NewCustomer, create_customer, update_customer

if TYPE_CHECKING:
    from litestar import Litestar
    from litestar.testing import TestClient

    from tollkeeper.service.bootstrap import Service

    Client = TestClient[Litestar]


def test_an_empty_log_says_what_will_be_in_it(client: Client) -> None:
    text = client.get("/audit").text
    assert "Nothing was changed yet" in text
    assert "tollkeeper customer add" in text


def test_the_log_says_who_changed_what_from_what_to_what(client: Client, service: Service) -> None:
    with editing(service.catalog, "ann") as edit:
        made = create_customer(edit, NewCustomer(name="Old", email="a@b"))
    with editing(service.catalog, "bob") as edit:
        update_customer(edit, made.id, CustomerPatch(name="New", email=None, address=""))
    text = client.get("/audit").text
    updated, created = rows(text)
    changes = "name Old → became New address nothing → became an empty text email a@b → became nothing"
    assert updated[1:] == [f"Update customer New history {changes}", "bob"]
    assert created[1].startswith("Create customer Old history 4 fields name Old email a@b time_zone UTC created_at")
    assert created[2] == "ann"
    assert f"/customers/{made.id}" in text


def test_the_log_is_filtered(client: Client, shop: Shop) -> None:
    everything = len(list(csv.DictReader(client.get("/audit.csv").text.splitlines())))
    for query, check in (
        ("actor=bob", {"actor": "bob"}),
        ("kind=plan", {"kind": "plan"}),
        ("action=update", {"action": "update"}),
        (f"record={shop.customer}", {"record": shop.customer}),
        (f"actor=bob&record={shop.customer}", {"actor": "bob", "record": shop.customer, "action": "update"}),
    ):
        found = list(csv.DictReader(client.get(f"/audit.csv?{query}").text.splitlines()))
        assert 0 < len(found) < everything
        assert all(row[name] == value for row in found for name, value in check.items())
        text = client.get(f"/audit?{query}").text
        assert len(rows(text)) == len(found)
        assert text.count("Remove the filter") == query.count("=")
    assert "No change matches these filters" in client.get("/audit?actor=nobody").text


@pytest.mark.parametrize("query", ["kind=audit", "kind=x", "action=read", "actor=%00", "from=x"])
def test_a_filter_that_cannot_be_is_refused(client: Client, query: str) -> None:
    for path in ("/audit", "/audit.csv"):
        assert client.get(f"{path}?{query}").status_code == 400


def test_the_log_of_a_span(client: Client, shop: Shop) -> None:
    now = datetime.now(UTC)
    text = client.get("/audit", params={"from": (now - timedelta(hours=1)).isoformat()}).text
    assert rows(text)
    assert "Remove the custom time" in text
    past = {"from": "2020-01-01T00:00", "to": "2020-02-01T00:00"}
    assert "No change matches" in client.get("/audit", params=past).text
    assert rows(client.get("/audit?range=7d&route=/x&status=5xx").text)
    assert shop.customer


def test_a_filter_is_taken_away_by_itself(client: Client, shop: Shop) -> None:
    text = client.get(f"/audit?actor=bob&record={shop.customer}").text
    links = [html.unescape(link) for link in re.findall(r'href="([^"]*)" aria-label="Remove', text)]
    assert links == [f"/audit?record={shop.customer}", "/audit?actor=bob"]


def test_many_changes_come_in_pages(client: Client, service: Service) -> None:
    for number in range(60):
        with editing(service.catalog, "ann") as edit:
            create_customer(edit, NewCustomer(name=f"c{number:02}"))
    first = client.get("/audit?actor=ann").text
    following = next(html.unescape(link) for link in re.findall(r'href="([^"]*after=[^"]*)"', first))
    assert "actor=ann" in following
    second = client.get(following).text
    assert (len(rows(first)), len(rows(second))) == (50, 10)
    assert "c59" in first
    assert "c00" in second
    assert "No change further back" in client.get("/audit?after=aud_0").text


def test_the_csv_is_whole_and_ends(client: Client, service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tollkeeper.dashboard.audit.CSV_PAGE", 5)
    monkeypatch.setattr("tollkeeper.dashboard.audit.CSV_ROWS", 20)
    for count in (12, 30):
        with editing(service.catalog, "=1+1") as edit:
            for number in range(count):
                create_customer(edit, NewCustomer(name=str(number)))
        found = list(csv.DictReader(client.get("/audit.csv").text.splitlines()))
        assert len(found) == min(count, 20)
    assert found[0]["actor"] == "'=1+1"
    assert '"name":"29"' in found[0]["after"]


def test_hostile_names_stay_text_and_no_hash_is_shown(client: Client, shop: Shop) -> None:
    text = client.get("/audit").text
    assert "<script>alert" not in text
    assert html.escape(EVIL, quote=False).partition('"')[0] in text
    assert "digest" not in text
    for link in (f"/customers/{shop.customer}", f"/customers/{shop.evil}", f"/apis/{shop.api}"):
        assert f'href="{link}"' in text
        assert client.get(link).status_code == 200
