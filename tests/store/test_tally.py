"""What consumers used, added up by each engine for the counters of their limits."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING

import pytest

from support.stores import ENGINES, store_url
from tollkeeper.billing.resolve import Call
from tollkeeper.events.codec import DecodedBatch
from tollkeeper.events.event import Consumer, UsageEvent
from tollkeeper.store.engines import open_stores

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tollkeeper.billing.tally import Tally
    from tollkeeper.store.protocols import EventStore

START = datetime(2026, 10, 1, tzinfo=UTC)
START_US = 1_790_812_800_000_000
MINUTE = 60_000_000


@pytest.fixture(scope="module", params=ENGINES)
def store(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[EventStore]:
    folder: Path = tmp_path_factory.mktemp("tally")
    events, catalog = open_stores(store_url(request.param, folder))
    yield events
    events.close()
    catalog.close()


def event(seconds: float = 0, **changes: object) -> UsageEvent:
    plain: dict[str, object] = {
        "source": "test",
        "time": START + timedelta(seconds=seconds),
        "method": "GET",
        "path": "/items/1",
        "route": "/items/{id}",
        "status_code": 200,
        "consumer": Consumer("acme"),
    }
    return UsageEvent(**(plain | changes))  # type: ignore[arg-type]  # built from plain test data


def append(store: EventStore, *events: UsageEvent) -> int:
    """Append events, each with an id of its own; the place before them."""
    before = store.last_seq()
    named = [
        UsageEvent(**{name: getattr(one, name) for name in one.__struct_fields__} | {"id": f"{before + at}"})
        for at, one in enumerate(events)
    ]
    store.append([("test", DecodedBatch(len(named), named, []))])
    return before


def figures(tallies: list[Tally]) -> Counter[tuple[Call, int, int, int]]:
    return Counter((one.call, one.first - START_US, one.last - START_US, one.units) for one in tallies)


def call(consumer: str = "acme", **changes: str | None) -> Call:
    plain: dict[str, str | None] = {"endpoint": "/items/{id}", "method": "GET"}
    return Call(consumer=consumer, **(plain | changes))


def test_calls_that_are_alike_are_added_up_by_the_minute(store: EventStore) -> None:
    before = append(
        store,
        event(1, units=Decimal("1.5")),
        event(59.999999, units=Decimal("0.000001")),
        event(60),
        event(2, consumer=Consumer("other", "Other Ltd")),
        event(3, method="POST"),
        event(4, api="orders", api_version="v1"),
        event(5, api="orders"),
        event(6, route=None, path="/parts/77"),
    )
    tallies, last = store.tally(before, 1_000, step=MINUTE)

    assert last == before + 8 == store.last_seq()
    assert figures(tallies) == Counter(
        [
            (call(), 1_000_000, 59_999_999, 1_500_001),
            (call(), MINUTE, MINUTE, 1_000_000),
            (call("other"), 2_000_000, 2_000_000, 1_000_000),
            (call(method="POST"), 3_000_000, 3_000_000, 1_000_000),
            (call(api="orders", api_version="v1"), 4_000_000, 4_000_000, 1_000_000),
            (call(api="orders"), 5_000_000, 5_000_000, 1_000_000),
            (call(endpoint="/parts/{id}"), 6_000_000, 6_000_000, 1_000_000),
        ]
    )


def test_a_finer_step_tells_moments_apart(store: EventStore) -> None:
    before = append(store, event(1), event(1.000001), event(1.000001))

    assert figures(store.tally(before, 1_000, step=1)[0]) == Counter(
        [(call(), 1_000_000, 1_000_000, 1_000_000), (call(), 1_000_001, 1_000_001, 2_000_000)]
    )


def test_what_the_gate_counted_and_what_nobody_known_called_is_passed_over(store: EventStore) -> None:
    before = append(store, event(1, gated=True), event(2, consumer=None), event(3, gated=True))

    assert store.tally(before, 1_000, step=MINUTE) == ([], before + 3)


def test_no_more_than_the_limit_is_taken_and_the_rest_comes_next(store: EventStore) -> None:
    before = append(store, *(event(0) for _ in range(5)))
    place, units = before, []
    while tallies := (answer := store.tally(place, 2, step=MINUTE))[0]:
        place = answer[1]
        units.append(sum(one.units for one in tallies))

    assert (units, place) == ([2_000_000, 2_000_000, 1_000_000], before + 5)
    assert store.tally(place, 2, step=MINUTE) == ([], place)
    assert store.tally(place + 10, 2, step=MINUTE) == ([], place + 10)


def test_the_largest_units_of_very_many_calls_are_added_up_exactly(store: EventStore) -> None:
    before = append(store, *(event(0, units=Decimal("999999.999999")) for _ in range(1_000)))

    assert [one.units for one in store.tally(before, 1_000, step=MINUTE)[0]] == [999_999_999_999_000]
