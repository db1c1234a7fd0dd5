"""What a plan charges beside pay as you go, and how it is added to while the plan is in use."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from tollkeeper.billing.plan import Plan
from tollkeeper.billing.rate_card import rate_card
from tollkeeper.errors import ConflictError, NotFoundError, TollkeeperError, UnprocessableError
from tollkeeper.events.timestamps import END, EPOCH
from tollkeeper.service.plan_views import PlanView, show_plan
from tollkeeper.service.plans import PlanPatch, add_plan_price, update_plan
from tollkeeper.service.selling.plan_prices import NewPlanPrice
from tollkeeper.store.audit import AuditEntry

if TYPE_CHECKING:
    from service.selling.conftest import Shop

PER_UNIT = {"model": "per_unit", "unit_price": "0.01"}
DEARER = {"model": "per_unit", "unit_price": "0.02"}
SEAT: dict[str, Any] = {"name": "seat", "rows": [{"price": {"model": "flat_fee", "fee": "5"}}]}
CHANGE = datetime(2027, 1, 1, tzinfo=UTC)


def used(meter: str, **row: Any) -> dict[str, Any]:
    return {"name": "tokens", "meter": meter, "rows": [{"price": PER_UNIT, **row}]}


def patch(shop: Shop, plan: Plan, **values: Any) -> Plan:
    with shop.edit() as edit:
        return update_plan(edit, plan.id, msgspec.convert(values, PlanPatch))


def add(shop: Shop, plan: Plan, **values: Any) -> PlanView:
    with shop.edit() as edit:
        return show_plan(add_plan_price(edit, plan.id, msgspec.convert({"name": "tokens", **values}, NewPlanPrice)))


def refusal(kind: type[TollkeeperError], shop: Shop, plan: Plan, **values: Any) -> str:
    with pytest.raises(kind) as found:
        patch(shop, plan, **values)
    return found.value.detail


def test_a_plan_has_a_card_beside_its_limits(shop: Shop) -> None:
    meter = shop.meter()
    plan = shop.plan(
        fee="20", minimum="30", prorated=False, prorate_by="day", prices=[used(meter), SEAT], limits=[{"limit": 5}]
    )
    with shop.service.catalog.reading() as records:
        found = records.get(Plan, plan.id)
        assert found is not None
        assert records.find(AuditEntry, record=plan.id)[0].actor == "ann"
    shown = show_plan(found)
    assert (shown.fee, shown.minimum, shown.prorated) == (Decimal(20), Decimal(30), False)
    assert shown.prorate_by == "day"
    assert [price.name for price in shown.prices] == ["tokens", "seat"]
    assert [limit.limit for limit in shown.limits] == [5]
    assert rate_card(found).prices[0].rows[0].valid_from == EPOCH


def test_what_is_usual_is_not_said_in_the_body(shop: Shop) -> None:
    assert shop.plan(currency=None).body == {}
    assert show_plan(shop.plan()).fee is None
    prepaid = shop.plan(kind="prepaid_value", amount="100")
    assert (show_plan(prepaid).fee, rate_card(prepaid).fee) == (None, Decimal(100))
    free = shop.plan(kind="prepaid_value", amount="100", fee="0")
    assert (free.body, rate_card(free).fee) == ({"fee": "0"}, Decimal(0))
    assert rate_card(patch(shop, free, fee=None)).fee == 100
    assert patch(shop, free, name=shop.name(), fee="7", prorated=False).body == {"fee": "7", "prorated": False}
    assert patch(shop, free, prorated=True).body == {"fee": "7"}


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"fee": "-1"}, "fee is -1"),
        ({"fee": "1", "currency": None}, "give its currency"),
        ({"currency": "XXX"}, "ISO 4217"),
        ({"prices": [used("nobody's")]}, "no meter"),
        ({"prices": [SEAT, SEAT]}, "two prices 'seat'"),
        ({"prices": [SEAT | {"name": ""}]}, "name of 0 characters"),
        ({"prices": [SEAT | {"name": "x" * 256}]}, "name of 256"),
    ],
)
def test_a_card_that_cannot_be_is_refused(shop: Shop, values: dict[str, Any], said: str) -> None:
    with pytest.raises(UnprocessableError, match=said):
        shop.plan(**values)


def test_what_a_plan_in_use_costs_stays(shop: Shop) -> None:
    plan = shop.plan(fee="20", prices=[used(shop.meter()), SEAT])
    shop.subscription(shop.customer(), plan)
    for values in ({"fee": "21"}, {"fee": None}, {"minimum": "1"}, {"prorated": False}, {"prorate_by": "day"}):
        assert "in use" in refusal(ConflictError, shop, plan, **values)
    assert "currency" in refusal(ConflictError, shop, plan, currency="USD")
    assert "cannot be taken away" in refusal(ConflictError, shop, plan, prices=[SEAT])
    assert patch(shop, plan, fee="20.00", name=shop.name()).body["fee"] == "20.00"
    other = used(shop.meter())
    assert "meter of its price 'tokens'" in refusal(ConflictError, shop, plan, prices=[other, SEAT])


def test_rows_of_a_plan_in_use_are_added_and_never_edited(shop: Shop) -> None:
    meter = shop.meter()
    plan = shop.plan(prices=[used(meter)])
    shop.subscription(shop.customer(), plan)
    ended = used(meter, valid_to=CHANGE)
    row = {"price": DEARER, "valid_from": CHANGE}

    assert "in force together" in refusal(
        ConflictError, shop, plan, prices=[used(meter) | {"rows": [*used(meter)["rows"], row]}]
    )
    changed = patch(
        shop,
        plan,
        prices=[ended | {"rows": [row, *ended["rows"]]}, SEAT | {"rows": [row | {"price": SEAT["rows"][0]["price"]}]}],
    )
    assert [len(price.rows) for price in rate_card(changed).prices] == [2, 1]

    for wrong, said in (
        ([used(meter, valid_to=shop.now - timedelta(seconds=1))], "keep the row"),
        ([used(meter) | {"rows": [{"price": DEARER}]}], "never edited"),
        ([ended | {"rows": [row]}], "keep the row"),
        ([ended | {"rows": [{"price": DEARER, "valid_from": CHANGE}]}], "keep the row"),
    ):
        assert said in refusal(ConflictError, shop, plan, prices=wrong)
    shop.now = CHANGE + timedelta(days=1)
    fresh = [{"name": "new", "meter": meter, "rows": [{"price": PER_UNIT, "valid_from": CHANGE}]}]
    kept = msgspec.to_builtins(show_plan(changed).prices)
    assert "give a valid_from that is still to come" in refusal(ConflictError, shop, plan, prices=[*kept, *fresh])
    kept[0]["rows"][1]["valid_to"] = "2026-12-01T00:00:00Z"  # it is over: its end stays
    assert "keep the row of 'tokens' from 1970" in refusal(ConflictError, shop, plan, prices=kept)


def test_a_row_is_added_by_its_price_and_ends_the_one_before(shop: Shop) -> None:
    meter = shop.meter()
    plan = shop.plan()
    assert (
        add(shop, plan, meter=meter, price=PER_UNIT, maximum="9", taxes=["VAT"]).prices[0].rows[0].valid_from == EPOCH
    )
    shop.subscription(shop.customer(), plan)

    rows = add(shop, plan, price=DEARER).prices[0].rows
    assert [(row.valid_from, row.valid_to) for row in rows] == [(EPOCH, shop.now), (shop.now, END)]
    rows = add(shop, plan, price=PER_UNIT, valid_from="2027-01-01T00:00:00Z", maximum="9.0").prices[0].rows
    assert [row.valid_to for row in rows] == [shop.now, CHANGE, END]
    seat = add(shop, plan, name="seat", price=SEAT["rows"][0]["price"]).prices[1]
    assert seat.rows[0].valid_from == shop.now
    assert rate_card(plan).prices == ()

    for kind, values, said in (
        (ConflictError, {"price": PER_UNIT, "valid_from": CHANGE}, "in force together"),
        (ConflictError, {"price": PER_UNIT, "valid_from": shop.now + timedelta(days=1)}, "in force together"),
        (ConflictError, {"price": PER_UNIT, "meter": "other"}, "another meter"),
        (ConflictError, {"name": "late", "meter": meter, "price": PER_UNIT, "valid_from": EPOCH}, "still to come"),
        (UnprocessableError, {"price": PER_UNIT, "valid_from": END}, "valid_from"),
        (UnprocessableError, {"name": "x", "price": PER_UNIT}, "give the meter"),
        (UnprocessableError, {"price": PER_UNIT, "maximum": "sNaN"}, "maximum is sNaN"),
        (
            UnprocessableError,
            {"price": SEAT["rows"][0]["price"], "valid_from": CHANGE + timedelta(1)},
            "flat_fee stands",
        ),
    ):
        with pytest.raises(kind, match=said):
            add(shop, plan, **values)
    with pytest.raises(NotFoundError), shop.edit() as edit:
        add_plan_price(edit, "pln_none", msgspec.convert({"name": "x", "price": PER_UNIT}, NewPlanPrice))
    assert Decimal(9) == show_plan(patch(shop, plan, name=shop.name())).prices[0].maximum
