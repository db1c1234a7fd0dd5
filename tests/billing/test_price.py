from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tollkeeper.billing.plan import Plan, check_plan
from tollkeeper.billing.price import check_amount, check_new_price, price_at
from tollkeeper.billing.product import RoutePrice
from tollkeeper.errors import ConflictError, UnprocessableError

NOW = datetime(2026, 10, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)


def price(amount: str, valid_from: datetime, currency: str = "EUR") -> RoutePrice:
    return RoutePrice(
        id=f"prc_{valid_from:%s}",
        route="rte",
        price=Decimal(amount),
        currency=currency,
        valid_from=valid_from,
        created_at=NOW,
    )


def test_the_price_in_force_is_the_last_that_began() -> None:
    prices = [price("2", NOW), price("1", NOW - HOUR), price("3", NOW + HOUR)]

    assert price_at(prices, NOW - 2 * HOUR) is None
    assert [str(found.price) for at in (-1, 0, 1, 9) if (found := price_at(prices, NOW + at * HOUR))] == list("1233")
    just_before = price_at(prices, NOW - timedelta(microseconds=1))
    assert just_before is not None
    assert just_before.price == 1
    assert price_at([], NOW) is None


@given(st.lists(st.integers(0, 50), unique=True), st.integers(0, 60))
def test_never_are_two_prices_in_force(starts: list[int], at: int) -> None:
    prices = [price(str(start), NOW + start * HOUR) for start in starts]
    found = price_at(prices, NOW + at * HOUR)

    assert (int(found.price) if found else None) == max((start for start in starts if start <= at), default=None)


def test_two_prices_do_not_begin_at_once() -> None:
    with pytest.raises(ConflictError, match="never edited"):
        check_new_price([price("1", NOW)], price("1", NOW))
    check_new_price([price("1", NOW)], price("1", NOW + timedelta(microseconds=1)))


def test_a_route_is_priced_in_one_currency() -> None:
    with pytest.raises(UnprocessableError, match="EUR"):
        check_new_price([price("1", NOW)], price("1", NOW + HOUR, "USD"))
    check_new_price([price("0", NOW, "XXX")], price("1", NOW + HOUR, "USD"))
    check_new_price([price("1", NOW)], price("0", NOW + HOUR, "XXX"))


@pytest.mark.parametrize("amount", ["0", "0.01", "1e-12", "999999999999999999", "1e17", "0.000000000001"])
def test_an_exact_amount_is_taken(amount: str) -> None:
    assert check_amount("price", Decimal(amount)) == Decimal(amount)


@pytest.mark.parametrize("amount", ["-1", "NaN", "Infinity", "-Infinity", "sNaN", "1e-13", "1e18", "1e999999"])
def test_what_is_no_amount_is_refused(amount: str) -> None:
    with pytest.raises(UnprocessableError, match="price is"):
        check_amount("price", Decimal(amount))


def plan(**values: object) -> Plan:
    return Plan(id="pln", name="gold", created_at=NOW, **values)  # type: ignore[arg-type]  # test data


@pytest.mark.parametrize(
    "values",
    [
        {},
        {"kind": "discount_percent", "amount": Decimal(100)},
        {"kind": "discount_amount", "amount": Decimal("0.5"), "currency": "EUR"},
        {"kind": "prepaid_volume", "amount": Decimal(1000)},
        {"kind": "prepaid_value", "amount": Decimal("9.99"), "currency": "EUR"},
    ],
)
def test_a_plan_that_makes_sense(values: dict[str, object]) -> None:
    assert check_plan(plan(**values)) == plan(**values)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"amount": Decimal(1)}, "leave amount out"),
        ({"kind": "discount_percent"}, "give its amount"),
        ({"kind": "discount_percent", "amount": Decimal(101)}, "up to 100"),
        ({"kind": "discount_percent", "amount": Decimal(-1)}, "amount is -1"),
        ({"kind": "prepaid_volume", "amount": Decimal("1.5")}, "whole number"),
        ({"kind": "prepaid_value", "amount": Decimal(1)}, "currency"),
        ({"kind": "discount_amount", "amount": Decimal(1)}, "currency"),
    ],
)
def test_a_plan_that_contradicts_itself_is_refused(values: dict[str, object], message: str) -> None:
    with pytest.raises(UnprocessableError, match=message):
        check_plan(plan(**values))
