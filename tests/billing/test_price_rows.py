from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest

from tollkeeper.billing.customer_rows import overridden, route_rows
from tollkeeper.billing.models.per_unit import PerUnit
from tollkeeper.billing.models.percentage import Percentage
from tollkeeper.billing.models.volume import Volume
from tollkeeper.billing.price_rows import PriceRow, check_rows, parse_price, row_at
from tollkeeper.billing.product import RoutePrice
from tollkeeper.billing.rating import rate
from tollkeeper.errors import ConflictError, UnprocessableError
from tollkeeper.events.timestamps import END, EPOCH
from tollkeeper.metering.quantity import Quantity

NOW = datetime(2026, 10, 1, tzinfo=UTC)
DAY = timedelta(days=1)


def row(price: str, valid_from: datetime = EPOCH, valid_to: datetime = END) -> PriceRow:
    return PriceRow(price=PerUnit(unit_price=Decimal(price)), valid_from=valid_from, valid_to=valid_to)


def unit_price(rows: tuple[PriceRow, ...], at: datetime) -> str | None:
    found = row_at(rows, at)
    return str(found.price.unit_price) if found and isinstance(found.price, PerUnit) else None


TIER = {"unit_price": "1"}


@pytest.mark.parametrize(
    ("definition", "message"),
    [
        ({}, "Give a model and its parts: per_unit, graduated"),
        ({"model": "magic"}, "'magic'.*Give a model"),
        ({"model": "per_unit"}, "missing required field `unit_price`"),
        ({"model": "per_unit", "unit_price": "1", "price": "1"}, "unknown field `price`"),
        ({"model": "per_unit", "unit_price": "-1"}, "unit_price is -1: give a decimal of 0 or more"),
        ({"model": "per_unit", "unit_price": "NaN"}, "unit_price is NaN"),
        ({"model": "graduated", "tiers": []}, "last tier must have no up_to"),
        ({"model": "graduated", "tiers": [{"up_to": "5", **TIER}]}, "last tier must have no up_to"),
        ({"model": "volume", "tiers": [TIER, TIER]}, "Tier 1 has no up_to"),
        ({"model": "volume", "tiers": [{"up_to": "0"}, {}]}, "Tier 1 is up to 0: give more than 0"),
        ({"model": "graduated", "tiers": [{"up_to": "5"}, {"up_to": "5"}, {}]}, "Tier 2 is up to 5: give more than 5"),
        ({"model": "graduated", "tiers": [{"flat_fee": "-5"}]}, "flat_fee is -5"),
        ({"model": "graduated_percentage", "tiers": [{"rate": "1001"}]}, "rate is 1001 per cent: give up to 1000"),
        ({"model": "graduated_percentage", "tiers": [{"up_to": "1", "rate": "1"}]}, "last tier must have no up_to"),
        ({"model": "package", "size": "0", "package_price": "1"}, "size of the package is 0"),
        ({"model": "package", "size": "1", "package_price": "1", "free_units": "-1"}, "free_units is -1"),
        ({"model": "percentage", "rate": "1", "minimum": "2", "maximum": "1"}, "minimum is 2: give up to 1"),
        ({"model": "percentage", "rate": "1", "free_amount": "-2"}, "free_amount is -2"),
        ({"model": "percentage", "rate": "1", "free_events": -2}, "free_events"),
        ({"model": "included", "included_units": "x", "unit_price": "1"}, "Invalid decimal"),
        ({"model": "flat_fee", "fee": "Infinity"}, "fee is Infinity"),
    ],
)
def test_a_price_that_makes_no_sense_is_refused(definition: dict[str, Any], message: str) -> None:
    with pytest.raises(UnprocessableError, match=message):
        parse_price(definition)


def test_a_price_is_read() -> None:
    assert parse_price({"model": "per_unit", "unit_price": "0.010"}) == PerUnit(unit_price=Decimal("0.01"))
    fixed = {"model": "percentage", "rate": "1", "minimum": "1", "maximum": "1"}
    assert parse_price(fixed) == Percentage(rate=Decimal(1), minimum=Decimal(1), maximum=Decimal(1))


def test_a_row_holds_from_its_start_to_just_before_its_end() -> None:
    rows = check_rows([row("2", NOW, NOW + DAY), row("1", NOW - DAY, NOW), row("3", NOW + 2 * DAY)])
    tick = timedelta(microseconds=1)

    assert [unit_price(rows, at) for at in (NOW - DAY - tick, NOW - DAY, NOW - tick, NOW)] == [None, "1", "1", "2"]
    assert [unit_price(rows, NOW + n * DAY) for n in (1, 2, 9)] == [None, "3", "3"]


@pytest.mark.parametrize(
    ("rows", "error", "message"),
    [
        ([], UnprocessableError, "has no rows"),
        ([row("1", NOW), row("2", NOW)], ConflictError, "in force together"),
        ([row("1", valid_to=NOW + timedelta(microseconds=1)), row("2", NOW)], ConflictError, "end that one"),
        ([row("1", valid_to=NOW), PriceRow(price=parse_price({"model": "flat_fee", "fee": "1"}), valid_from=NOW)],
         UnprocessableError, "flat_fee stands among"),
    ],
)  # fmt: skip
def test_rows_that_contradict_one_another_are_refused(
    rows: list[PriceRow], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        check_rows(rows)


def test_a_row_that_is_never_in_force_or_has_no_zone_is_refused() -> None:
    with pytest.raises(UnprocessableError, match="never: give a later valid_to"):
        row("1", NOW, NOW)
    for times in ({"valid_from": datetime(2026, 1, 1)}, {"valid_to": datetime(2026, 1, 1)}):  # noqa: DTZ001 - the fault
        with pytest.raises(UnprocessableError, match="no zone"):
            row("1", **times)
    east, west = timezone(timedelta(hours=14)), timezone(timedelta(hours=-14))
    for begin, end in (
        (EPOCH - timedelta(seconds=1), END),
        (datetime(1, 1, 1, tzinfo=east), END),
        (EPOCH, datetime(9999, 12, 31, 23, tzinfo=west)),
    ):
        with pytest.raises(UnprocessableError, match="between 1970 and 9999"):
            row("1", begin, end)


def test_a_price_has_so_many_tiers_at_most() -> None:
    tiers = [{"up_to": str(number)} for number in range(1, 1_000)]
    assert isinstance(parse_price({"model": "volume", "tiers": [*tiers, {"unit_price": "1"}]}), Volume)
    with pytest.raises(UnprocessableError, match="1001 tiers: give up to 1,000"):
        parse_price({"model": "volume", "tiers": [*tiers, {"up_to": "1000"}, {"unit_price": "1"}]})


def test_quantities_that_are_none_and_fees_are_not_rated() -> None:
    with pytest.raises(UnprocessableError, match="below zero"):
        rate((row("1"),), [Quantity(NOW, -1)])
    with pytest.raises(UnprocessableError, match="charge it as a fee"):
        rate((PriceRow(price=parse_price({"model": "flat_fee", "fee": "1"})),), [Quantity(NOW, 1)])


def test_what_has_no_price_is_told() -> None:
    rating = rate((row("1", NOW),), [Quantity(NOW - DAY, 5_000_000), Quantity(NOW, 2_000_000)])
    assert rating.cost == 2
    assert (rating.quantity, rating.unpriced) == (2_000_000, 5_000_000)


def test_the_prices_of_a_route_follow_one_another() -> None:
    prices = [
        RoutePrice(id=name, route="rte", price=Decimal(name), currency="EUR", valid_from=start, created_at=NOW)
        for name, start in (("2", NOW), ("1", EPOCH))
    ]
    rows = route_rows(prices)
    assert check_rows(rows) == rows
    assert [unit_price(rows, at) for at in (EPOCH, NOW - DAY, NOW, NOW + 999 * DAY)] == ["1", "1", "2", "2"]
    assert route_rows([]) == ()


def test_a_customers_own_rows_stand_in_the_place_of_the_list() -> None:
    listed = [row("1", valid_to=NOW), row("2", NOW)]
    rows = overridden(listed, [row("9", NOW - DAY, NOW + DAY)])

    assert [unit_price(rows, NOW + n * DAY) for n in (-2, -1, 0, 1)] == ["1", "9", "9", "2"]
    assert [unit_price(overridden(listed, [row("9")]), at) for at in (EPOCH, NOW)] == ["9", "9"]
    assert overridden([row("1", NOW)], [row("9", valid_to=NOW - DAY)]) == (row("9", valid_to=NOW - DAY), row("1", NOW))
