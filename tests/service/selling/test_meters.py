"""Meters: made once, named by prices, and what they make of a customer's events."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from tollkeeper.errors import ConflictError, InvalidRequestError, NotFoundError, UnprocessableError
from tollkeeper.events.codec import DecodedBatch
from tollkeeper.events.event import Consumer, UsageEvent
from tollkeeper.events.ids import new_id
from tollkeeper.events.timestamps import to_microseconds
from tollkeeper.metering.definition import MeterDefinition
from tollkeeper.metering.meter import Meter, MeterFilter
from tollkeeper.service.keys import NewKey
from tollkeeper.service.listing import find_named
from tollkeeper.service.periods import Period
from tollkeeper.service.selling import meter_values
from tollkeeper.service.selling.meter_values import MeterValue, meter_value
from tollkeeper.service.selling.meters import create_meter, remove_meter, show_meter

if TYPE_CHECKING:
    from service.selling.conftest import Shop

DAY = timedelta(days=1)


def found(shop: Shop, name: str) -> MeterDefinition:
    with shop.service.catalog.reading() as records:
        return find_named(records, MeterDefinition, name, "name")


def make(shop: Shop, **values: Any) -> MeterDefinition:
    with shop.edit() as edit:
        return create_meter(edit, msgspec.convert({"name": shop.name(), "aggregation": "count", **values}, Meter))


def use(shop: Shop, customer: str, *events: dict[str, Any]) -> None:
    """Store events of a new key of the customer, a minute apart."""
    with shop.edit() as edit:
        key, _ = shop.service.keys.create(edit, NewKey(customer=customer))
    made = [
        UsageEvent(
            id=new_id(),
            source="test",
            time=shop.now + place * timedelta(minutes=1),
            method="GET",
            path="/",
            route="/",
            status_code=200,
            consumer=Consumer(key=key.fingerprint),
            variables=msgspec.Raw(msgspec.json.encode(variables)),
        )
        for place, variables in enumerate(events)
    ]
    shop.service.events.append([("test", DecodedBatch(len(made), made, []))])


def measured(shop: Shop, meter: MeterDefinition, customer: str, days: int = 1) -> MeterValue:
    period = Period(to_microseconds(shop.now), to_microseconds(shop.now + days * DAY))
    return meter_value(shop.service, meter.id, customer, period)


def test_a_meter_is_kept_as_it_was_said(shop: Shop) -> None:
    filters = [{"field": "status_code", "below": "400"}, {"field": "variables.model", "one_of": ["large"]}]
    made = make(shop, aggregation="percentile", percentile="95", field="units", filters=filters, group_by=["method"])
    shown = show_meter(found(shop, made.name))
    assert (shown.id, shown.aggregation, shown.field, shown.group_by) == (made.id, "percentile", "units", ["method"])
    assert shown.percentile == Decimal(95)
    assert shown.filters == msgspec.convert(filters, list[MeterFilter])


def test_meters_that_cannot_be_are_refused(shop: Shop) -> None:
    name = shop.meter()
    for kind, values, said in (
        (ConflictError, {"name": name}, "never changed"),
        (UnprocessableError, {"name": ""}, "0 characters"),
        (UnprocessableError, {"name": "x" * 256}, "256 characters"),
        (UnprocessableError, {"group_by": ["method"] * 11}, "too many"),
        (UnprocessableError, {"filters": [{"field": "method", "one_of": ["GET"]}] * 101}, "too many"),
        (UnprocessableError, {"group_by": [f"variables{'.x' * 50_000}"]}, "over 100,000 bytes"),
        (UnprocessableError, {"field": "units"}, "leave field out"),
        (UnprocessableError, {"group_by": ["colour"]}, "no field 'colour'"),
    ):
        with pytest.raises(kind, match=said):
            make(shop, **values)


def test_a_meter_goes_only_when_no_plan_names_it(shop: Shop) -> None:
    name, unused = shop.meter(), shop.meter()
    row = {"price": {"model": "per_unit", "unit_price": "1"}}
    plan = shop.plan(prices=[{"name": "tokens", "meter": name, "rows": [row]}])
    with pytest.raises(ConflictError, match=plan.name), shop.edit() as edit:
        remove_meter(edit, found(shop, name).id)
    with shop.edit() as edit:
        remove_meter(edit, found(shop, unused).id)
    with pytest.raises(NotFoundError), shop.edit() as edit:
        remove_meter(edit, "mtr_none")


def test_a_meter_counts_all_keys_of_one_customer_in_a_span(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(meter_values, "AT_ONCE", 2)
    customer, other = shop.customer().id, shop.customer().id
    use(shop, customer, {"tokens": 1.25, "model": "a"}, {"tokens": 2, "model": "b"}, {"tokens": "many", "model": "a"})
    use(shop, customer, {"tokens": 4, "model": "b"}, {"tokens": 8})
    use(shop, other, {"tokens": 100})
    shop.now += 2 * DAY
    use(shop, customer, {"tokens": 1000})
    shop.now -= 2 * DAY

    tokens = measured(shop, make(shop, aggregation="sum", field="variables.tokens"), customer)
    assert (tokens.value, tokens.events, tokens.unread) == (Decimal("15.25"), 4, 1)
    assert (tokens.start, tokens.end, tokens.customer) == (shop.now, shop.now + DAY, customer)
    assert [group.group for group in tokens.groups] == [[]]
    assert measured(shop, make(shop), customer, days=3).value == Decimal(6)
    large = {"field": "variables.tokens", "at_least": "4"}
    assert measured(shop, make(shop, filters=[large]), customer).value == Decimal(2)

    by_model = make(shop, aggregation="max", field="variables.tokens", group_by=["variables.model"])
    apart = measured(shop, by_model, customer)
    assert [(group.group, str(group.value)) for group in apart.groups] == [([None], "8"), (["a"], "1.25"), (["b"], "4")]
    assert apart.value == Decimal("13.25")
    models = measured(shop, make(shop, aggregation="unique", field="variables.model"), customer)
    assert (models.value, models.unread) == (Decimal(2), 1)

    monkeypatch.setattr(meter_values, "MAX_GROUPS", 2)
    with pytest.raises(InvalidRequestError, match="more than 2 groups"):
        measured(shop, by_model, customer)


def test_what_cannot_be_measured_is_told(shop: Shop) -> None:
    customer, meter = shop.customer().id, make(shop)
    nothing = measured(shop, meter, customer)
    assert (nothing.value, nothing.groups, nothing.events) == (Decimal(0), [], 0)
    with pytest.raises(NotFoundError, match="no customer"):
        measured(shop, meter, "cus_none")
    with pytest.raises(InvalidRequestError, match="a year"):
        measured(shop, meter, customer, days=367)
