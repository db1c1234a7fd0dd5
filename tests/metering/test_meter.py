from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.metered import metered
from tollkeeper.errors import UnprocessableError
from tollkeeper.events.event import Consumer, Response, UsageEvent
from tollkeeper.events.timestamps import to_microseconds
from tollkeeper.metering.aggregate import Aggregate, aggregate, merge, value_of
from tollkeeper.metering.field import field_text, field_value
from tollkeeper.metering.meter import Meter, read_event

NOW = datetime(2026, 10, 1, tzinfo=UTC)
MICRO = 1_000_000


def event(variables: str = "{}", seconds: int = 0, **values: Any) -> UsageEvent:
    about: dict[str, Any] = {"id": f"{seconds}", "method": "GET", "path": "/", "status_code": 200} | values
    return UsageEvent(time=NOW + timedelta(seconds=seconds), variables=msgspec.Raw(variables.encode()), **about)


def meter(**definition: Any) -> Meter:
    return msgspec.convert({"name": "m"} | definition, Meter)


@pytest.mark.parametrize(
    ("path", "value", "text"),
    [
        ("status_code", 200, "200"),
        ("units", Decimal("2.50"), "2.5"),
        ("consumer.key", "key_1", "key_1"),
        ("consumer.label", None, None),
        ("response.content_length", 12, "12"),
        ("response.body.total", Decimal("0.1"), "0.1"),
        ("request.body", None, None),
        ("error.type", None, None),
        ("response.first_byte_time", 2.0, "2"),
        ("variables.long", 10**40 + 1, f"{10**40 + 1}"),
        ("variables.model", "large", "large"),
        ("variables.deep.er", [1], "[1]"),
        ("variables.missing.er", None, None),
        ("variables.model.er", None, None),
        ("variables.yes", True, "true"),
        ("variables.number", Decimal("1.0"), "1"),
        ("variables.whole", Decimal("1e2"), "100"),
        ("variables.huge", Decimal("1e999999"), "1E+999999"),
        ("time", NOW, "2026-10-01T00:00:00Z"),
    ],
)
def test_a_field_is_found_by_its_path(path: str, value: object, text: str | None) -> None:
    found = event(
        '{"model": "large", "deep": {"er": [1]}, "yes": true, "number": 1.0, "whole": 1e2, "huge": 1e999999,'
        f' "long": {10**40 + 1}}}',
        units=Decimal("2.50"),
        consumer=Consumer("key_1"),
        response=Response(content_length=12, first_byte_time=2.0, body=msgspec.Raw(b'{"total": 0.1}')),
    )
    assert field_value(found, path) == value
    assert field_text(found, path) == text


@pytest.mark.parametrize(
    ("definition", "message"),
    [
        ({"aggregation": "count", "field": "units"}, "is a count: leave field out"),
        ({"aggregation": "sum"}, "is a sum: give the field"),
        ({"aggregation": "percentile", "field": "units"}, "is a percentile: give percentile"),
        ({"aggregation": "max", "field": "units", "percentile": 95}, "is a max: leave percentile out"),
        ({"aggregation": "percentile", "field": "units", "percentile": 0}, r"is 0: give one in \(0, 100\]"),
        ({"aggregation": "percentile", "field": "units", "percentile": "NaN"}, "is NaN"),
        ({"aggregation": "percentile", "field": "units", "percentile": "1E-99999999"}, "is 1E-99999999"),
        ({"aggregation": "count", "filters": [{"field": "units", "below": "1E+99999999"}]}, "up to 60 digits"),
        ({"aggregation": "sum", "field": "unit"}, "no field 'unit', for want of 'unit': give one of id, source"),
        ({"aggregation": "sum", "field": "consumer.name"}, "give one of key, label, email, group in its place"),
        ({"aggregation": "sum", "field": "units.more"}, "for want of 'more': leave it out"),
        ({"aggregation": "count", "group_by": ["colour"]}, "no field 'colour'"),
        ({"aggregation": "count", "filters": [{"field": "colour", "one_of": ["red"]}]}, "no field 'colour'"),
        ({"aggregation": "count", "filters": [{"field": "route"}]}, "asks for nothing: give one_of"),
        ({"aggregation": "count", "filters": [{"field": "units", "below": "NaN"}]}, "a bound that is no number"),
        (
            {"aggregation": "count", "filters": [{"field": "units", "at_least": "Infinity"}]},
            "a bound that is no number",
        ),
    ],
)
def test_a_meter_that_makes_no_sense_is_refused(definition: dict[str, Any], message: str) -> None:
    with pytest.raises(UnprocessableError, match=message):
        meter(**definition)


@pytest.mark.parametrize(
    ("one", "passing"),
    [
        ({"field": "variables.model", "one_of": ["large", "small"]}, '{"model": "small"}'),
        ({"field": "variables.model", "none_of": ["large"]}, "{}"),
        ({"field": "variables.n", "at_least": "2"}, '{"n": 2}'),
        ({"field": "variables.n", "below": "2"}, '{"n": 1.999}'),
        ({"field": "variables.n", "at_least": "1", "below": "2"}, '{"n": 1e0}'),
        ({"field": "variables.n", "one_of": ["2"], "none_of": ["3"]}, '{"n": 2.0}'),
    ],
)
def test_a_filter_passes(one: dict[str, Any], passing: str) -> None:
    counted = meter(aggregation="count", filters=[one])
    assert read_event(counted, event(passing)) is not None


@pytest.mark.parametrize(
    ("one", "failing"),
    [
        ({"field": "variables.model", "one_of": ["large", "small"]}, "{}"),
        ({"field": "variables.model", "none_of": ["large"]}, '{"model": "large"}'),
        ({"field": "variables.n", "at_least": "2"}, '{"n": 1.9}'),
        ({"field": "variables.n", "below": "2"}, '{"n": 2}'),
        ({"field": "variables.n", "below": "2"}, "{}"),
        ({"field": "variables.n", "below": "2"}, '{"n": "1"}'),
        ({"field": "variables.n", "below": "2"}, '{"n": true}'),
    ],
)
def test_a_filter_holds_back(one: dict[str, Any], failing: str) -> None:
    assert read_event(meter(aggregation="count", filters=[one]), event(failing)) is None


@pytest.mark.parametrize(
    ("number", "value"),
    [
        ("1", MICRO),
        ("0", 0),
        ("0.0000005", 1),
        ("0.00000049", 0),
        ("1e3", 1000 * MICRO),
        ("123456789012345678901234567890.5", 123456789012345678901234567890_500000),
        ("-1", None),
        ("1e60", None),
        ('"1"', None),
        ("true", None),
        ("null", None),
        ("[1]", None),
        ("1e99999999999999999999", None),
        ("1e-99999999999999999999", None),
        pytest.param("1" * 5_000, None, id="too many digits"),
        pytest.param("[" * 50_000 + "]" * 50_000, None, id="too deep"),
    ],
)
def test_a_number_is_read_exactly(number: str, value: int | None) -> None:
    reading = read_event(meter(aggregation="sum", field="variables.n"), event(f'{{"n": {number}}}'))
    assert reading is not None
    assert reading.value == value


@pytest.mark.parametrize("hostile", ["1e99999999999999999999", "1" * 5_000], ids=["exponent", "digits"])
def test_what_stands_beside_a_field_does_not_spoil_it(hostile: str) -> None:
    beside = event(f'{{"beside": {hostile}, "n": {{"m": 2, "beside": {hostile}}}}}')
    assert field_value(beside, "variables.n.m") == 2
    assert field_value(beside, "variables.beside.m") is None
    assert field_text(beside, "variables.beside") in {hostile, None}


def test_a_float_is_the_number_that_it_prints() -> None:
    reading = read_event(
        meter(aggregation="sum", field="response.first_byte_time"), event(response=Response(first_byte_time=0.1))
    )
    assert reading is not None
    assert reading.value == 100_000


@pytest.mark.parametrize(
    ("definition", "value"),
    [
        ({"aggregation": "count"}, 5 * MICRO),
        ({"aggregation": "sum", "field": "variables.n"}, 15_500_000),
        ({"aggregation": "max", "field": "variables.n"}, 9 * MICRO),
        ({"aggregation": "unique", "field": "variables.n"}, 3 * MICRO),
        ({"aggregation": "latest", "field": "variables.n"}, 2_500_000),
        ({"aggregation": "percentile", "field": "variables.n", "percentile": 50}, 2_500_000),
        ({"aggregation": "percentile", "field": "variables.n", "percentile": "75.1"}, 9 * MICRO),
        ({"aggregation": "percentile", "field": "variables.n", "percentile": "0.1"}, 1_500_000),
    ],
)
def test_what_a_meter_makes_of_events(definition: dict[str, Any], value: int) -> None:
    texts = ['{"n": 2.5}', '{"n": 9}', '{"n": "x"}' if definition["aggregation"] != "unique" else "{}"]
    texts += ['{"n": 1.5}', '{"n": 2.50}']
    found = metered(meter(**definition), [event(text, seconds) for seconds, text in enumerate(texts)])
    assert sum(one.amount for one in found[()]) == value


def test_the_latest_is_the_last_in_time_and_the_greatest_of_those_at_once() -> None:
    latest = meter(aggregation="latest", field="variables.n")
    events = [event('{"n": 3}', 5, id="c"), event('{"n": 9}', 1, id="a"), event('{"n": 2}', 5, id="d")]
    (found,) = metered(latest, events).values()
    assert [(one.at.second, one.amount) for one in found] == [(5, 3 * MICRO)]


def test_of_nothing_a_meter_makes_nothing() -> None:
    for aggregation in ("sum", "max", "unique", "latest", "percentile"):
        share = {"percentile": 95} if aggregation == "percentile" else {}
        one = meter(aggregation=aggregation, field="units", **share)
        assert value_of(one, Aggregate()) == 0
        assert value_of(one, Aggregate(unread=1)) == 0
        assert metered(one, []) == {}


def test_groups_are_apart_and_in_order_of_time() -> None:
    counted = meter(aggregation="count", group_by=["variables.model", "status_code"])
    events = [event('{"model": "b"}', 9), event("{}", 3), event('{"model": "b"}', 1, status_code=201)]
    found = metered(counted, [*events, event('{"model": "b"}', 5)])
    assert {group: [one.at.second for one in used] for group, used in found.items()} == {
        ("b", "201"): [1],
        (None, "200"): [3],
        ("b", "200"): [5, 9],
    }


values = st.lists(st.tuples(st.integers(0, 9), st.one_of(st.none(), st.integers(0, 6))), max_size=12)
aggregations = st.sampled_from(["count", "sum", "max", "unique", "latest", "percentile"])


@given(aggregations, values, st.lists(st.integers(0, 12), max_size=3), st.randoms())
def test_partials_merge_to_the_value_of_all_however_they_are_cut(
    aggregation: str, found: list[tuple[int, int | None]], cuts: list[int], random: Any
) -> None:
    definition: dict[str, Any] = {"aggregation": aggregation}
    definition |= {} if aggregation == "count" else {"field": "variables.n"}
    definition |= {"percentile": 60} if aggregation == "percentile" else {}
    one = meter(**definition)
    events = [event(f'{{"n": {"null" if n is None else n}}}', second) for second, n in sorted(found, key=str)]
    events.sort(key=lambda event: event.time)
    readings = [(to_microseconds(each.time), read_event(one, each)) for each in events]
    partials = [aggregate(one, at, reading.value) for at, reading in readings if reading]
    whole = merge(partials)
    bounds = sorted({0, len(events), *(min(cut, len(events)) for cut in cuts)})
    runs = [merge(random.sample(run, len(run))) for run in (partials[a:b] for a, b in pairwise(bounds))]

    assert merge(random.sample(runs, len(runs))) == whole
    assert whole.events + whole.unread == len(events)
    over_time = metered(one, events).get((), [])
    assert sum(each.amount for each in over_time) == value_of(one, whole)
    assert all(each.amount >= 0 for each in over_time)
