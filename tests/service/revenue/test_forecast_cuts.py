"""The forecast of who ends, or changes the plan, within a month: what is over does not grow."""

from __future__ import annotations

from decimal import Decimal

import pytest

from support.billing_shop import BillingShop, at
from tollkeeper.billing.plan import Plan
from tollkeeper.billing.terms import PlanChange
from tollkeeper.events.ids import record_id
from tollkeeper.service.revenue.forecast import Forecast, forecast
from tollkeeper.service.subscription_life import cancel

CUT, NOW = at("2026-09-11"), at("2026-09-21")


@pytest.fixture
def shop() -> BillingShop:
    return BillingShop("memory:")


def expected(shop: BillingShop) -> Forecast:
    shop.run("2026-09", NOW, finalize=False)
    (found,) = forecast(shop.service, "2026-09", NOW).currencies
    return found


def test_who_has_ended_uses_no_more(shop: BillingShop) -> None:
    shop.customer("acme")
    shop.call("acme", at("2026-09-05"), 100)
    shop.now = CUT
    with shop.edit() as edit:
        cancel(edit, shop.subscriptions["acme"], at_once=True)
    assert expected(shop).usage_expected == Decimal("1.00")


def test_a_plan_that_was_changed_at_once_grows_no_more(shop: BillingShop) -> None:
    shop.plan("half", kind="discount_percent", amount="50")
    shop.customer("acme")
    shop.call("acme", at("2026-09-05"), 100)
    shop.call("acme", at("2026-09-15"), 100)
    (half,) = shop.find(Plan, name="half")
    with shop.edit() as edit:
        edit.add(
            PlanChange(
                id=record_id("chg"),
                subscription=shop.subscriptions["acme"],
                plan=half.id,
                effective_at=CUT,
                created_at=CUT,
            )
        )
    assert expected(shop).usage_expected == Decimal("1.00") + 2 * Decimal("0.50")
