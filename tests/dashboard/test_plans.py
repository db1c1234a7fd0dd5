"""Plans on the pages: what they cost in words, who is on them, and the meters."""

from __future__ import annotations

import html
import re
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from support.markup import part, rows
from support.money_shop import MoneyShop, open_money_shop
from support.quotas import LONG
from support.shop import EVIL
from tollkeeper.billing.limit import Limit, Rate
from tollkeeper.billing.price_rows import PriceRow, parse_price
from tollkeeper.billing.terms import PlanChange
from tollkeeper.dashboard.prices import price_words, shown_rows, step_words
from tollkeeper.events.ids import record_id
from tollkeeper.service.audit import editing
from tollkeeper.service.documents.prices import Step
from tollkeeper.service.plans import NewPlan, create_plan
from tollkeeper.service.subscription_life import cancel, change_plan

if TYPE_CHECKING:
    from litestar import Litestar
    from litestar.testing import TestClient

    from tollkeeper.service.bootstrap import Service

    Client = TestClient[Litestar]

ENGINE = "memory"
NONE = "\N{EN DASH}"
TIERS = [{"up_to": "1000", "unit_price": "0.01"}, {"unit_price": "0.0005", "flat_fee": "2"}]
RATES = [{"up_to": "1000", "rate": "2.5"}, {"rate": "1", "flat_fee": "0.5"}]


@pytest.fixture
def shop(service: Service) -> MoneyShop:
    return open_money_shop(service)


def plain(text: str) -> str:
    """The words of a page."""
    return " ".join(html.unescape(re.sub(r"<[^>]*>", " ", text)).split())


def following(text: str, name: str) -> str | None:
    """Where the link of that name leads."""
    found = re.search(rf'href="([^"]*)">{name}', text)
    return html.unescape(found[1]) if found else None


def test_plans_are_listed_with_meters(client: Client, shop: MoneyShop) -> None:
    text = client.get("/plans").text
    gold, starter, yen = rows(text)
    assert gold == ["gold", "Pay as you go", "49.00 EUR", "60.00 EUR", "Month", "14 days", "2", "3"]
    assert starter == ["starter", "Per cent off 10%", NONE, NONE, "Month", NONE, "0", "1"]
    assert yen == ["yen", "Pay as you go", "9,800 JPY", NONE, "Year", NONE, "0", "1"]
    assert f"/plans/{shop.plans['gold']}" in text
    tiles, callers, slow = rows(part(text, "meters"))
    assert tiles == ["tiles", "Sum of units", "status_code is below 400", "route"]
    assert callers == ["callers", "Unique of client.remote_address", "all", NONE]
    assert slow[1] == "p95 of request.elapsed_time"


def test_a_plan_shows_its_prices_and_subscribers(client: Client, shop: MoneyShop) -> None:
    text = client.get(f"/plans/{shop.plans['gold']}").text
    words = plain(text)
    assert "Fee 49.00 EUR a month Minimum 60.00 EUR a month Trial 14 days Currency EUR Limits none" in words
    assert "Of what the meter tiles counts, no more than 900.00 EUR" in words
    now, before = rows(part(text, "prices"))
    assert now == ["5,000 included, then 0.002 EUR each", "Jan 1, 2026, 00:00", NONE, "in force"]
    assert before[1:] == ["the beginning", "Jan 1, 2026, 00:00", "past"]
    assert "First 1,000 0.01 EUR each 1,000 to 100,000 0.004 EUR each + 5.00 EUR Above 100,000 0.0015 EUR each" in words
    assert "15.00 EUR a period" in words
    found = rows(part(text, "subscribers"))
    assert [row[0] for row in found] == ["Initech", LONG, "Acme Ltd"]
    assert found[0][1:3] == ["forecasts", "active"]
    starter = plain(client.get(f"/plans/{shop.plans['starter']}").text)
    assert "Kind Per cent off: 10%" in starter
    assert "No price of its own" in starter


def test_who_left_a_plan_or_will_come_is_told(client: Client, service: Service, shop: MoneyShop) -> None:
    with editing(service.catalog, "ann") as edit:
        moved = PlanChange(
            id=record_id("plc"),
            subscription=shop.subscriptions["Globex"],
            plan=shop.plans["gold"],
            effective_at=edit.now - timedelta(days=1),
            created_at=edit.now,
        )
        edit.add(moved)
        change_plan(edit, shop.subscriptions["Acme Ltd"], "starter")
        cancel(edit, shop.subscriptions["Initech"], at_once=True)
    gold, starter = (
        {row[0]: row[2] for row in rows(part(client.get(f"/plans/{shop.plans[name]}").text, "subscribers"))}
        for name in ("gold", "starter")
    )
    assert gold == {"Globex": "active", "Acme Ltd": "active", LONG: "active", "Initech": "ended"}
    assert starter == {"Globex": "now gold", "Acme Ltd": "to come"}
    assert [row[7] for row in rows(client.get("/plans").text)] == ["3", "0", "1"]


def test_many_come_in_pages(client: Client, shop: MoneyShop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tollkeeper.dashboard.plans.PAGE", 2)
    first = client.get("/plans").text
    assert len(rows(first)) == len(rows(part(first, "meters"))) == 2
    behind = [html.unescape(one) for one in re.findall(r'href="([^"]*)">Next', first)]
    assert [row[0] for row in rows(client.get(behind[0]).text)] == ["yen"]
    second = client.get(behind[1].partition("#")[0]).text
    assert [row[0] for row in rows(part(second, "meters"))] == ["slow"]
    assert len(rows(second)) == 2
    gold = f"/plans/{shop.plans['gold']}"
    older = following(client.get(gold).text, "Next")
    assert older is not None
    assert [row[0] for row in rows(part(client.get(older).text, "subscribers"))] == ["Acme Ltd"]
    assert "No more plans" in client.get("/plans?after=zzz").text
    assert "Nobody further back" in client.get(f"{gold}?after=0").text
    assert client.get("/plans/pln_0").status_code == 404


@pytest.mark.parametrize(
    ("definition", "sentence", "tiers"),
    [
        ({"model": "per_unit", "unit_price": "0.01"}, "0.01 EUR each", []),
        ({"model": "per_unit", "unit_price": "1200.5"}, "1,200.50 EUR each", []),
        ({"model": "per_unit", "unit_price": "0.00125"}, "0.00125 EUR each", []),
        ({"model": "flat_fee", "fee": "20"}, "20.00 EUR a period", []),
        (
            {"model": "flat_fee", "fee": "20", "prorated": False},
            "20.00 EUR a period, whole also for a part of it",
            [],
        ),
        ({"model": "package", "size": "1000", "package_price": "5"}, "5.00 EUR for each 1,000 begun", []),
        (
            {"model": "package", "size": "1000", "package_price": "5", "free_units": "500"},
            "5.00 EUR for each 1,000 begun, after 500 free",
            [],
        ),
        (
            {"model": "included", "included_units": "5000", "unit_price": "0.002"},
            "5,000 included, then 0.002 EUR each",
            [],
        ),
        ({"model": "percentage", "rate": "2.9"}, "2.9% of each amount", []),
        (
            {
                "model": "percentage",
                "rate": "2.9",
                "fixed_fee": "0.3",
                "minimum": "0.5",
                "maximum": "20",
                "free_events": 100,
                "free_amount": "50",
            },
            (
                "2.9% of each amount + 0.30 EUR, at least 0.50 EUR, at most 20.00 EUR, the first 100 events free,"
                " the first 50.00 EUR free"
            ),
            [],
        ),
        (
            {"model": "graduated", "tiers": TIERS},
            "Each unit at its tier",
            [("First 1,000", "0.01 EUR each"), ("Above 1,000", "0.0005 EUR each + 2.00 EUR")],
        ),
        (
            {"model": "volume", "tiers": [{"unit_price": "1"}]},
            "All units at the tier that they reach",
            [("All", "1.00 EUR each")],
        ),
        (
            {"model": "graduated_percentage", "tiers": RATES},
            "A share of the amount, by tiers",
            [("First 1,000", "2.5%"), ("Above 1,000", "1% + 0.50 EUR")],
        ),
    ],
)
def test_each_price_model_has_words(definition: dict[str, Any], sentence: str, tiers: list[tuple[str, str]]) -> None:
    said = price_words(parse_price(definition), "EUR")
    assert said.sentence == sentence
    assert said.tiers == tiers


def test_what_fell_into_a_tier_has_words() -> None:
    step = Step(quantity=1_500_000_000, price=Decimal("0.01"), flat=Decimal(2))
    assert step_words(step, "EUR") == "1,500 at 0.01 EUR each + 2.00 EUR"
    assert step_words(Step(quantity=500_000, rate=Decimal("2.5")), "EUR") == "0.5 at 2.5%"
    assert step_words(Step(quantity=5_000_000, price=Decimal(0)), "EUR") == "5 free"


def test_rows_tell_whether_they_are_in_force() -> None:
    now = datetime.now(UTC)
    price, day = parse_price({"model": "per_unit", "unit_price": "1"}), timedelta(days=1)
    found = shown_rows(
        [
            PriceRow(price=price, valid_to=now - day),
            PriceRow(price=price, valid_from=now - day, valid_to=now + day),
            PriceRow(price=price, valid_from=now + day),
        ],
        "EUR",
        now,
    )
    assert [one.state for one in found] == ["to come", "in force", "past"]
    assert (found[0].end, found[2].start) == (None, None)


def test_limits_fees_and_rates_are_shown(client: Client, service: Service) -> None:
    with editing(service.catalog, "ann") as edit:
        plan = create_plan(
            edit,
            NewPlan(
                name=EVIL,
                kind="prepaid_value",
                amount=Decimal(100),
                currency="EUR",
                limits=[Limit(limit=5_000, period="day")],
                rates=[Rate(rate=50, burst=200, endpoint="/y")],
                prorated=False,
            ),
        )
        other = create_plan(
            edit,
            NewPlan(
                name="calls",
                kind="prepaid_volume",
                amount=Decimal(5000),
                currency="EUR",
                fee=Decimal(9),
                prorate_by="day",
                trial_days=1,
            ),
        )
    text = client.get(f"/plans/{plan.id}").text
    words = plain(text)
    assert "Prepaid value: 100 EUR" in words or "Prepaid value: 100.00 EUR" in words
    assert "whole also for a part of it" in words
    assert "5,000 a day 50 a second of /y" in words
    assert "<script>alert" not in text
    assert "Nobody yet" in words
    assert f"tollkeeper subscription add CUSTOMER {plan.id}" in words
    more = plain(client.get(f"/plans/{other.id}").text)
    assert "Prepaid calls: 5,000 calls" in more
    assert "9.00 EUR a month, prorated by the day" in more.replace("9 EUR", "9.00 EUR")
    assert "Trial 1 day" in more
    assert "<script>alert" not in client.get("/plans").text


def test_without_plans_the_next_step_is_shown(client: Client) -> None:
    text = client.get("/plans").text
    assert "No plan yet" in text
    assert "tollkeeper plan add gold" in text
