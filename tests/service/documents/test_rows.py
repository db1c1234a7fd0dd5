"""How amounts come about, as the smaller lines say it."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest
from msgspec.structs import replace

from support.invoices import START, a_part, a_statement, fixed, used
from tollkeeper.billing.charge import Charge, PricedUsage, usage_charge
from tollkeeper.billing.price_rows import PriceRow, parse_price
from tollkeeper.billing.statement import UsedPrice
from tollkeeper.metering.meter import Meter
from tollkeeper.metering.quantity import Quantity
from tollkeeper.service.documents.formats import formats_for
from tollkeeper.service.documents.prices import steps_of
from tollkeeper.service.documents.rows import Rows
from tollkeeper.service.documents.wording import words_for

if TYPE_CHECKING:
    from tollkeeper.service.documents.page import Row

MIDDLE = datetime(2026, 10, 15, tzinfo=UTC)


def model(**values: Any) -> PriceRow:
    times = {name: values.pop(name) for name in ("valid_from", "valid_to") if name in values}
    return PriceRow(price=parse_price(values), **times)


CENT = model(model="per_unit", unit_price="0.01")
TIERS_BODY: dict[str, Any] = {
    "model": "graduated",
    "tiers": [{"up_to": "10", "unit_price": "1"}, {"unit_price": "0.5"}],
}
TIERS = model(**TIERS_BODY)
PACKS: dict[str, Any] = {"model": "package", "size": "10", "package_price": "2"}


def row(charge: Charge, *, part: int | None = 0, **values: Any) -> Row:
    """The only line of a statement; signs of multiplication are an x, and dashes a minus."""
    statement = a_statement((part, charge), parts=[a_part(**values)])
    rows = Rows(statement, formats_for("en", "EUR", "UTC"), words_for("en"))
    ((found,),) = (group.rows for group in rows.groups())
    plain = str.maketrans({"\u00d7": "x", "\u2013": "-", "\u2009": None})
    return replace(found, details=tuple(one.translate(plain) for one in found.details))


def groups(*calls: int, price: PriceRow) -> Charge:
    """A charge of a meter that tells groups apart."""
    amounts = tuple((Quantity(START, amount * 1_000_000),) for amount in calls)
    return usage_charge(PricedUsage(name="Seats", rows=(price,), groups=amounts), "EUR")


@pytest.mark.parametrize(
    ("meter", "said"),
    [
        (Meter(name="m", aggregation="count"), "Calls"),
        (Meter(name="m", aggregation="sum", field="units"), "Sum of units"),
        (Meter(name="m", aggregation="max", field="units"), "Highest units"),
        (Meter(name="m", aggregation="unique", field="consumer"), "Different values of consumer"),
        (Meter(name="m", aggregation="latest", field="units"), "Last units"),
        (
            Meter(name="m", aggregation="percentile", field="units", percentile=Decimal("99.9")),
            "Percentile 99.9 of units",
        ),
    ],
)
def test_what_was_counted(meter: Meter, said: str) -> None:
    price = UsedPrice(name="Data", price="pri_1", rows=(CENT,), meter=meter)
    assert row(used("Data", 5, CENT, price_id="pri_1"), prices=(price,)).details == (said,)
    assert row(used("Data", 5, CENT), prices=(replace(price, price="Data"),)).details == (said,)
    assert row(used("Other", 5, CENT), prices=(price,)).details == ()
    assert row(fixed("5", name="Data"), prices=(price,)).details == ()


def test_one_price_stands_in_its_column_also_of_several_groups() -> None:
    found = row(groups(2, 3, price=CENT))
    assert (found.quantity, found.price, found.details) == ("5", "€0.01", ())


def test_tiers_of_several_groups_are_not_added_up() -> None:
    found = row(groups(12, 30, price=TIERS))
    assert (found.quantity, found.price, found.details) == ("42", "", ())


def test_tiers_that_do_not_make_the_cost_are_not_told() -> None:
    charge = used("Calls", 12, TIERS)
    (part,) = charge.parts
    assert row(replace(charge, parts=(replace(part, cost=part.cost + 1),))).details == ()
    assert row(charge).details == ("up to 10: 10 x €1.00 = €10.00", "over 10: 2 x €0.50 = €1.00")


def test_the_difference_to_an_earlier_invoice_has_no_tiers() -> None:
    charge = replace(used("Calls", 12, TIERS), quantity=2_000_000)
    found = row(charge, earlier=("inv_0",))
    assert (found.quantity, found.price, found.details) == ("2", "", ())


def test_rows_that_followed_one_another() -> None:
    before, after = model(**PACKS, valid_to=MIDDLE), model(**TIERS_BODY, valid_from=MIDDLE)
    found = row(used("Calls", 20, before, after))
    assert found.details == ("Oct 1-14, 2026: 10 · €2.00 per 10 = €2.00", "Oct 15-31, 2026: 10 = €5.00")
    assert row(used("Calls", 20, before, after), part=None).details[0] == "10 · €2.00 per 10 = €2.00"
    elsewhere: Any = {"start": datetime(2026, 11, 1, tzinfo=UTC), "end": datetime(2026, 12, 1, tzinfo=UTC)}
    assert row(used("Calls", 20, before, after), **elsewhere).details[0] == "10 · €2.00 per 10 = €2.00"


def test_what_had_no_price_is_said() -> None:
    found = row(replace(used("Calls", 3, CENT), unpriced=2_000_000))
    assert found.details == ("2 without charge",)


@pytest.mark.parametrize(
    ("price", "said"),
    [
        (PACKS, "€2.00 per 10"),
        (PACKS | {"free_units": "5"}, "€2.00 per 10 · 5 included"),
        ({"model": "percentage", "rate": "2.5"}, "2.5% of the amount"),
        ({"model": "percentage", "rate": "2.5", "fixed_fee": "0.1"}, "2.5% of the amount + €0.10"),
    ],
)
def test_prices_in_words(price: dict[str, Any], said: str) -> None:
    assert row(used("Calls", 20, model(**price))).details == (said,)


def test_nothing_used_fills_no_tier() -> None:
    volume = parse_price({"model": "volume", "tiers": [{"up_to": "10", "unit_price": "1"}, {"unit_price": "2"}]})
    assert steps_of(volume, 0) == []
    assert [step.price for step in steps_of(volume, 10_000_000)] == [Decimal(1)]
    assert [step.price for step in steps_of(volume, 10_000_001)] == [Decimal(2)]
    assert steps_of(TIERS.price, 0) == []
    found = row(used("Calls", 0, TIERS))
    assert (found.quantity, found.details) == ("0", ())
