from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from itertools import pairwise
from typing import Any

import pytest

from tollkeeper.billing.charge import Charge, PricedUsage, fee_charge
from tollkeeper.billing.models.flat_fee import FlatFee
from tollkeeper.billing.models.per_unit import PerUnit
from tollkeeper.billing.period import BillingPeriod
from tollkeeper.billing.period_charges import charge_period
from tollkeeper.billing.plan import Plan
from tollkeeper.billing.price_rows import PriceRow
from tollkeeper.billing.proration import period_share
from tollkeeper.billing.rate_card import RateCard, rate_card
from tollkeeper.billing.rebill import difference
from tollkeeper.errors import ConflictError, UnprocessableError
from tollkeeper.metering.quantity import Quantity

NOW = datetime(2026, 10, 1, tzinfo=UTC)
DAY = timedelta(days=1)
MONTH = BillingPeriod(NOW, NOW + 31 * DAY)
PER_UNIT = {"model": "per_unit", "unit_price": "1"}
USED: dict[str, Any] = {"name": "x", "meter": "y", "rows": [{"price": PER_UNIT}]}
FEE = {"name": "x", "rows": [{"price": {"model": "flat_fee", "fee": "1"}}]}


def plan(kind: Any = "pay_as_you_go", amount: str | None = None, currency: str | None = "EUR", **body: Any) -> Plan:
    exact = Decimal(amount) if amount is not None else None
    return Plan(id="pln", name="gold", kind=kind, amount=exact, currency=currency, body=body, created_at=NOW)


def calls(name: str, units: int, unit_price: str = "1") -> PricedUsage:
    rows = (PriceRow(price=PerUnit(unit_price=Decimal(unit_price))),)
    return PricedUsage(name=name, rows=rows, groups=((Quantity(NOW, units * 1_000_000),),), pay_as_you_go=True)


def shown(charges: tuple[Charge, ...]) -> list[tuple[str, str, str]]:
    return [(charge.kind, charge.name, str(charge.amount)) for charge in charges]


def test_a_card_is_read_from_the_body_of_a_plan() -> None:
    price = {"name": "tokens", "meter": "tokens", "rows": [{"price": PER_UNIT}], "maximum": "10", "taxes": ["VAT"]}
    card = rate_card(plan(fee="5", minimum="20", prorate_by="day", prices=[price, USED, FEE | {"name": "seat"}]))
    assert f"{card.fee} {card.minimum} {card.prorate_by} {card.prorated}" == "5 20 day True"
    assert card.prices[0].maximum == 10
    assert rate_card(plan(currency=None)) == RateCard()
    assert rate_card(plan(fee="5", limits=[{"limit": 1}], rates=[], on_failure="deny")) == RateCard(fee=Decimal(5))


def test_what_a_prepaid_value_costs() -> None:
    assert rate_card(plan("prepaid_value", "100")).fee == 100
    assert rate_card(plan("prepaid_value", "100", fee="80")).fee == 80


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"fees": "1"}, "unknown field `fees`.*It may have a fee, a minimum"),
        ({"fee": "-1"}, "fee is -1"),
        ({"minimum": "1e-20"}, "minimum is 1E-20"),
        ({"prices": [{"name": "x", "rows": USED["rows"]}]}, "'x' is of usage: give the meter"),
        ({"prices": [{"meter": "y"} | FEE]}, "'x' is a flat fee: leave meter out"),
        ({"prices": [{"maximum": "1"} | FEE]}, "leave maximum out"),
        ({"prices": [{"maximum": "-1"} | USED]}, "maximum is -1"),
        ({"prices": [{"maximum": "0.001"} | USED]}, "up to 2 decimals"),
        ({"prices": [USED, USED]}, "two prices 'x'"),
        ({"prices": [USED | {"rows": []}]}, "no rows"),
    ],
)
def test_a_card_that_makes_no_sense_is_refused(body: dict[str, Any], message: str) -> None:
    with pytest.raises(UnprocessableError, match=message):
        rate_card(plan(**body))


def test_a_card_needs_a_currency_and_rows_that_do_not_overlap() -> None:
    with pytest.raises(UnprocessableError, match="give its currency"):
        rate_card(plan(currency=None, fee="1"))
    with pytest.raises(ConflictError, match="in force together"):
        rate_card(plan(prices=[USED | {"rows": USED["rows"] * 2}]))


def test_a_flat_fee_is_that_in_force_when_the_time_begins() -> None:
    rows = (
        PriceRow(price=FlatFee(fee=Decimal(10)), valid_to=NOW),
        PriceRow(price=FlatFee(fee=Decimal(20), prorated=False), valid_from=NOW, valid_to=NOW + DAY),
    )
    half = Fraction(1, 2)
    found = [
        fee_charge("seat", rows, at=at, currency="EUR", share=half, taxes=("VAT",))
        for at in (NOW - DAY, NOW, NOW + DAY)
    ]
    assert [str(one.amount) if one else None for one in found] == ["5.00", "20.00", None]
    assert found[0] is not None
    assert found[0].taxes == ("VAT",)
    usage_rows = (PriceRow(price=PerUnit(unit_price=Decimal(1))),)
    assert fee_charge("calls", usage_rows, at=NOW, currency="EUR") is None


def test_a_fee_and_a_discount_count_towards_the_minimum() -> None:
    seat = fee_charge("seat", (PriceRow(price=FlatFee(fee=Decimal(3))),), at=NOW, currency="EUR")
    assert seat is not None
    found = charge_period(
        plan("discount_percent", "50"), RateCard(minimum=Decimal(10)), [calls("a", 8)], currency="EUR", fees=[seat]
    )
    assert shown(found.charges) == [
        ("fee", "seat", "3.00"),
        ("usage", "a", "8.00"),
        ("discount", "a", "-4.00"),
        ("minimum", "minimum", "3.00"),
    ]


def test_a_minimum_that_is_just_reached_adds_no_line() -> None:
    found = charge_period(plan(), RateCard(minimum=Decimal(8)), [calls("a", 8)], currency="EUR")
    assert shown(found.charges) == [("usage", "a", "8.00")]


def test_an_amount_off_carries_over_and_is_spread() -> None:
    gold = plan("discount_amount", "5")
    found = charge_period(gold, RateCard(), [calls("a", 2), calls("b", 1)], currency="EUR", carried=Decimal("1.50"))
    assert shown(found.charges)[2:] == [("discount", "a", "-2.00"), ("discount", "b", "-1.00")]
    assert found.discount_left == Decimal("3.50")
    nothing = charge_period(gold, RateCard(), [], currency="EUR", share=Fraction(1, 2))
    assert (nothing.charges, str(nothing.discount_left)) == ((), "2.50")


def test_what_is_over_a_prepaid_volume_is_charged() -> None:
    used = [calls("a", 2), calls("b", 3), calls("c", 4)]
    found = charge_period(plan("prepaid_volume", "3"), RateCard(), used, currency="EUR")
    assert shown(found.charges) == [("usage", "a", "0.00"), ("usage", "b", "2.00"), ("usage", "c", "4.00")]


def test_discounts_are_on_pay_as_you_go_alone() -> None:
    tokens = PricedUsage(name="tokens", rows=calls("x", 1).rows, groups=calls("x", 9).groups, maximum=Decimal(7))
    kinds = (("discount_percent", "50"), ("discount_amount", "50"), ("prepaid_volume", "50"), ("prepaid_value", "50"))
    for kind, amount in kinds:
        found = charge_period(plan(kind, amount), RateCard(), [tokens, calls("a", 0)], currency="EUR")
        assert shown(found.charges) == [
            ("usage", "tokens", "9.00"),
            ("maximum", "tokens", "-2.00"),
            ("usage", "a", "0.00"),
        ]


def test_a_cent_over_the_maximum_comes_off() -> None:
    used = PricedUsage(name="a", rows=calls("x", 1, "0.01").rows, groups=calls("x", 101).groups, maximum=Decimal(1))
    found = charge_period(plan(), RateCard(), [used], currency="EUR")
    assert shown(found.charges) == [("usage", "a", "1.01"), ("maximum", "a", "-0.01")]


def test_a_card_that_is_not_prorated_charges_a_part_whole() -> None:
    card = RateCard(fee=Decimal(10), minimum=Decimal(30), prorated=False)
    found = charge_period(plan(), card, [], currency="EUR", share=Fraction(1, 3))
    assert shown(found.charges) == [("base_fee", "base_fee", "10.00"), ("minimum", "minimum", "20.00")]


@pytest.mark.parametrize("by", ["second", "day"])
def test_parts_without_a_gap_add_up(by: Any) -> None:
    cuts = [MONTH.start, NOW + timedelta(days=3, hours=5), NOW + timedelta(days=3, hours=9, seconds=0.4), MONTH.end]
    parts = [BillingPeriod(*pair) for pair in pairwise(cuts)]
    shares = [period_share(MONTH, part, by, "America/St_Johns") for part in parts]
    assert sum(shares) == 1
    assert all(0 <= share < 1 for share in shares)


def test_what_lies_outside_a_period_does_not_count() -> None:
    assert period_share(MONTH, BillingPeriod(NOW - 9 * DAY, NOW + 99 * DAY)) == 1
    assert period_share(MONTH, BillingPeriod(NOW - 9 * DAY, NOW - DAY)) == 0
    assert period_share(MONTH, BillingPeriod(NOW + 5 * DAY, NOW + 2 * DAY)) == 0


def test_a_period_of_less_than_a_day_is_not_prorated_by_day() -> None:
    hour = BillingPeriod(NOW, NOW + timedelta(hours=1))
    with pytest.raises(UnprocessableError, match="not one day: prorate by the second"):
        period_share(hour, hour, "day")
    assert period_share(hour, hour) == 1


def charge(name: str, amount: str, quantity: int | None = None) -> Charge:
    return Charge(
        kind="usage", name=name, exact=Fraction(amount), amount=Decimal(amount), price=name, quantity=quantity
    )


def test_bills_of_one_period_add_up_to_the_whole() -> None:
    first = [charge("a", "3.00", 3), charge("b", "2.00", 2), charge("gone", "1.00", 1), charge("fee", "9.00")]
    now = [charge("a", "2.50", 5), charge("b", "2.00", 2), charge("new", "4.00", 1), charge("fee", "9.50")]
    found = difference(now, first, "EUR")
    assert [(one.name, str(one.amount), one.quantity) for one in found] == [
        ("a", "-0.50", 2),
        ("new", "4.00", 1),
        ("fee", "0.50", None),
        ("gone", "-1.00", -1),
    ]
    assert difference(now, [*first, *found], "EUR") == []


def test_more_for_the_same_money_is_told() -> None:
    (found,) = difference([charge("a", "1.00", 5)], [charge("a", "1.00", 3)], "EUR")
    assert (str(found.amount), found.quantity) == ("0.00", 2)
