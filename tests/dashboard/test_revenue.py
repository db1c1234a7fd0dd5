"""Revenue on the pages: figures, charts by month, and rankings, in one currency."""

from __future__ import annotations

import csv
import html
import json
import re
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from support.markup import rows
from support.money_shop import MoneyShop, month_before, open_money_shop
from support.quotas import LONG
from tollkeeper.service.bootstrap import Service, open_service
from tollkeeper.service.revenue.calendar import last_months
from tollkeeper.service.revenue.months import revenue_by_month
from tollkeeper.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Iterator

    from litestar import Litestar
    from litestar.testing import TestClient

    Client = TestClient[Litestar]

ENGINE = "memory"


@pytest.fixture
def money(service: Service) -> MoneyShop:
    return open_money_shop(service)


@pytest.fixture
def empty() -> Iterator[Service]:
    service = open_service(Settings(store="memory:"))
    yield service
    service.close()


def charts(text: str) -> list[dict[str, Any]]:
    """What the charts of a page draw."""
    found = re.findall(r'<script type="application/json">(.*?)</script>', text, re.DOTALL)
    return [json.loads(html.unescape(one)) for one in found]


def cards(text: str) -> dict[str, str]:
    """The figures at the head of a page, by their labels."""
    found = re.findall(r'<div class="card kpi"><dt>(.*?)</dt><dd>(.*?)</dd>', text, re.DOTALL)
    plain = [[" ".join(html.unescape(re.sub(r"<[^>]*>", " ", part)).split()) for part in pair] for pair in found]
    return {" ".join(label.split()[:2]): value for label, value in plain}


def tables(text: str) -> list[list[list[str]]]:
    """The rankings."""
    return [rows(one) for one in text.partition('class="rankings"')[2].split("<section")[1:]]


def test_revenue_is_drawn_by_month(client: Client, service: Service, money: MoneyShop) -> None:
    now = datetime.now(UTC)
    with service.catalog.reading() as records:
        earned = {one.month: one.net for one in revenue_by_month(records, *last_months(now)) if one.currency == "EUR"}
    text = client.get("/revenue").text
    revenue, moved = charts(text)
    assert (revenue["unit"], revenue["currency"], revenue["digits"], len(revenue["t"])) == ("money", "EUR", 2, 12)
    assert revenue["labels"][-1] == f"{now:%b %Y}"
    assert revenue["links"][-2] == f"/invoices?month={money.month}"
    invoiced, expected = revenue["series"]
    assert invoiced["values"][-2] == float(earned[money.month])
    assert expected["values"][-2] == 0
    assert expected["values"][-1] > 0
    assert [one["name"] for one in moved["series"]] == ["New", "Expansion", "Contraction", "Churn"]
    new, _, _, churn = (one["values"] for one in moved["series"])
    assert sum(value > 0 for value in new) == 3
    assert [value < 0 for value in churn[-3:]] == [False, True, False]
    assert f"<td>{now:%B %Y}</td>" in text
    assert "6 months" in text


def test_figures_head_the_page(client: Client, money: MoneyShop) -> None:
    now = datetime.now(UTC)
    last = month_before(now, 1)
    shown = cards(client.get("/revenue").text)
    assert list(shown) == [f"Forecast, {now:%b}", f"Invoiced, {last:%b}", f"MRR, {last:%b}", f"Churn, {last:%b}"]
    values = list(shown.values())
    assert all(value.endswith(" EUR") for value in values[:3])
    assert re.fullmatch(r"\d\d\.\d%", values[3])
    assert money.month


def test_who_and_what_brings_the_most_is_ranked(client: Client, money: MoneyShop) -> None:
    text = client.get("/revenue").text
    customers, apis, routes = tables(text)
    assert [row[0] for row in customers] == [LONG, "Acme Ltd", "Initech", "Globex"]
    assert sum(Decimal(row[1].rstrip("%")) for row in customers) == pytest.approx(Decimal(100), abs=Decimal("0.2"))
    assert [row[0] for row in apis] == ["(no API)", "forecasts"]
    assert [row[0] for row in routes] == ["(not by route)", "forecasts v1 GET /forecasts/{id}"]
    assert f'href="/customers/{money.customers["Globex"]}"' in text
    assert re.search(rf'href="/apis/[a-z0-9_]+/{money.route}"', text)


def test_the_span_and_the_currency_are_in_the_address(client: Client, money: MoneyShop) -> None:
    text = client.get("/revenue?months=6&currency=JPY").text
    revenue, _ = charts(text)
    assert (revenue["currency"], revenue["digits"], len(revenue["t"])) == ("JPY", 0, 6)
    assert [row[0] for row in tables(text)[0]] == ["Hooli K.K."]
    assert 'href="/revenue?months=6" ' in text or 'href="/revenue?months=6">' in text
    assert 'href="/revenue?months=24&amp;currency=JPY"' in text
    for query in ("months=7", "months=x", "currency=USD"):
        assert client.get(f"/revenue?{query}").status_code == 400
    assert money.month


def test_revenue_is_sent_as_csv(client: Client, money: MoneyShop) -> None:
    found = list(csv.DictReader(client.get("/revenue.csv?months=6").text.splitlines()))
    assert {row["currency"] for row in found} == {"EUR", "JPY"}
    assert all(Decimal(row["net"]) == Decimal(row["charged"]) - Decimal(row["credited"]) for row in found)
    assert any(Decimal(row["credited"]) for row in found)
    assert client.get("/revenue.csv?months=7").status_code == 400
    assert money.month


class TestWithoutAnything:
    """Pages of a service that has billed nothing."""

    @pytest.fixture
    def service(self, empty: Service) -> Service:
        return empty

    def test_the_next_step_is_shown(self, client: Client) -> None:
        text = client.get("/revenue").text
        assert "No revenue yet" in text
        assert "tollkeeper invoices run" in text
        assert client.get("/revenue?currency=EUR").status_code == 400
        assert client.get("/revenue.csv").text.splitlines() == ["month,currency,charged,credited,net"]

    def test_without_drafts_there_is_no_forecast(self, client: Client, empty: Service) -> None:
        open_money_shop(empty, now=month_before(datetime.now(UTC), 3))
        text = client.get("/revenue").text
        assert "There is no forecast without drafts of this month" in text
        assert "\N{EN DASH}" in next(iter(cards(text).values()))
        assert [one["name"] for one in charts(text)[0]["series"]] == ["Invoiced"]
