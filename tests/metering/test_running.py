from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from support.metered import metered
from tollkeeper.events.event import UsageEvent
from tollkeeper.events.timestamps import to_microseconds
from tollkeeper.metering.aggregate import aggregate, merge, value_of
from tollkeeper.metering.meter import Meter, read_event
from tollkeeper.metering.quantity import Quantity
from tollkeeper.metering.running import Group, RunningMeter

NOW = datetime(2026, 10, 1, tzinfo=UTC)
KINDS = ["count", "sum", "max", "unique", "latest", "percentile"]


def meter(aggregation: str) -> Meter:
    field = {} if aggregation == "count" else {"field": "variables.x"}
    share = {"percentile": 60} if aggregation == "percentile" else {}
    filters = [{"field": "status_code", "below": "400"}]
    about: dict[str, Any] = {"name": "m", "aggregation": aggregation, "group_by": ["variables.g"], "filters": filters}
    return msgspec.convert(about | field | share, Meter)


def event(second: int, x: object, g: str, status: int) -> UsageEvent:
    variables = msgspec.Raw(msgspec.json.encode({"x": x, "g": g}))
    about: dict[str, Any] = {"method": "GET", "path": "/", "variables": variables, "status_code": status}
    return UsageEvent(id=f"{second}", time=NOW + timedelta(seconds=second), **about)


events = st.lists(
    st.builds(
        event,
        st.integers(0, 9),
        st.one_of(st.integers(0, 5), st.sampled_from([0.5, "text", None])),
        st.sampled_from("ab"),
        st.sampled_from([200, 200, 404]),
    ),
    max_size=12,
)


@pytest.mark.parametrize("aggregation", KINDS)
@settings(max_examples=40, deadline=None)
@given(found=events)
def test_one_event_after_the_other_gives_what_all_of_them_give(aggregation: str, found: list[UsageEvent]) -> None:
    assert metered(meter(aggregation), found) == of_all(meter(aggregation), found)


@pytest.mark.parametrize("aggregation", KINDS)
@settings(max_examples=40, deadline=None)
@given(found=events)
def test_what_cannot_be_read_is_counted(aggregation: str, found: list[UsageEvent]) -> None:
    running = RunningMeter(meter(aggregation))
    for one in found:
        running.take(one)
    readable = [one for one in found if one.status_code == 200 and _counts(aggregation, one)]
    assert running.unread == sum(one.status_code == 200 for one in found) - len(readable)


def test_a_count_of_everything_reads_nothing() -> None:
    running = RunningMeter(Meter(name="all", aggregation="count"))
    assert running.take(event(1, None, "a", 500)) == ((), 1_000_000)
    assert (running.ending(), running.unread) == ({}, 0)


def of_all(meter: Meter, found: list[UsageEvent]) -> dict[Group, list[Quantity]]:
    """The quantities of all events at once, each group by itself."""
    groups: dict[Group, list[tuple[datetime, int | str]]] = {}
    for one in sorted(found, key=lambda one: (one.time, one.source, one.id)):
        reading = read_event(meter, one)
        if reading and reading.value is not None:
            groups.setdefault(reading.group, []).append((one.time, reading.value))
    return {group: over_time(meter, values) for group, values in groups.items()}


def over_time(meter: Meter, values: list[tuple[datetime, int | str]]) -> list[Quantity]:
    """How far each value takes what all up to it come to; what can fall again is one quantity of the last."""
    partials = [aggregate(meter, to_microseconds(at), value) for at, value in values]
    reached = [value_of(meter, merge(partials[: place + 1])) for place in range(len(partials))]
    if meter.aggregation in {"latest", "percentile"}:
        return [Quantity(values[-1][0], reached[-1])]
    added = [after - before for before, after in pairwise([0, *reached])]
    return [Quantity(at, amount) for (at, _), amount in zip(values, added, strict=True)]


def _counts(aggregation: str, one: UsageEvent) -> bool:
    value = one.document()["variables"]["x"]
    return aggregation == "count" or (value is not None and (aggregation == "unique" or not isinstance(value, str)))
