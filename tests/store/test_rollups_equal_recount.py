"""Roll-ups, edges and the unfolded tail together always say what a recount of the raw events says."""

from __future__ import annotations

from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from support.stores import DURABLE, empty, store_url
from tollkeeper.events.codec import DecodedBatch
from tollkeeper.events.event import Consumer, Request, Response, UsageEvent
from tollkeeper.metering.sketch import quantile
from tollkeeper.metering.usage import Filters, UsageQuery
from tollkeeper.metering.window import DAY, HOUR, QUARTER
from tollkeeper.store.engines import open_stores

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tollkeeper.metering.usage import UsageRow
    from tollkeeper.store.protocols import EventStore

START = datetime(2026, 3, 28, 22, 50, tzinfo=UTC)
SPAN = 3 * DAY
NUMBERS = count()

offsets = st.integers(0, SPAN) | st.sampled_from([0, HOUR, DAY - 1, DAY, DAY + QUARTER])
events = st.builds(
    lambda id_, offset, route, who, status, elapsed, size: UsageEvent(
        id=str(id_),
        source="test",
        time=START + timedelta(microseconds=offset),
        method="GET",
        path="/x",
        route=route,
        status_code=status,
        consumer=who and Consumer(who),
        request=Request(elapsed_time=elapsed),
        response=Response(content_length=size),
    ),
    st.integers(0, 60),
    offsets,
    st.sampled_from(["/a", "/b", "/c/{id}"]),
    st.sampled_from([None, "acme", "umbrella"]),
    st.sampled_from([200, 201, 404, 500]),
    st.none() | st.floats(0, 100),
    st.none() | st.integers(0, 10**6),
)
steps = st.lists(st.tuples(st.lists(events, max_size=30), st.integers(0, 40)), min_size=1, max_size=4)
bounds = st.tuples(offsets, offsets).map(sorted).filter(lambda pair: pair[0] < pair[1])
queries = st.builds(
    lambda span, step, group_by, filters: UsageQuery(
        start=span[0], end=span[1], step=step, group_by=group_by, filters=filters, sketches=True
    ),
    bounds,
    st.sampled_from([None, QUARTER, HOUR, 2 * HOUR, DAY]),
    st.sampled_from([(), ("route",), ("consumer",), ("status",), ("route", "consumer"), ("consumer", "status")]),
    st.builds(
        lambda route, consumer, status: Filters(route=route, consumer=consumer, status=status),
        st.sampled_from([None, "/a"]),
        st.sampled_from([None, "acme"]),
        st.sampled_from([None, "4xx", "200"]),
    ),
)


@contextmanager
def new_store(url: str) -> Iterator[EventStore]:
    if url.startswith("sqlite:"):
        url = f"{url}-{next(NUMBERS)}"
    store, catalog = open_stores(url)
    if not url.startswith("sqlite:"):
        empty(url)
    yield store
    store.close()
    catalog.close()


def start_us() -> int:
    return UsageEvent(time=START, method="GET", path="/", status_code=200).time_us


def answers(store: EventStore, query: UsageQuery) -> list[tuple[object, ...]]:
    rows: list[UsageRow] = store.usage(query)
    return sorted(((row.start, row.key, row.totals) for row in rows), key=lambda answer: (answer[0], repr(answer[1])))


@pytest.fixture(scope="module", params=DURABLE)
def url(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> str:
    return store_url(request.param, tmp_path_factory.mktemp("store"))


@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(steps=steps, asked=st.lists(queries, min_size=1, max_size=4))
def test_any_range_in_any_state_of_folding(
    url: str, steps: list[tuple[list[UsageEvent], int]], asked: list[UsageQuery]
) -> None:
    with new_store(url) as store:
        memory, _ = open_stores("memory:")
        for batch, fold in steps:  # a later step may hold earlier times: late events
            decoded = DecodedBatch(len(batch), batch, [])
            assert store.append([("test", decoded)]) == memory.append([("test", decoded)])
            if fold:
                store.fold(fold)
            for query in asked:
                moved = UsageQuery(
                    start=start_us() + query.start,
                    end=start_us() + query.end,
                    step=query.step,
                    group_by=query.group_by,
                    filters=query.filters,
                    sketches=True,
                )
                assert answers(store, moved) == answers(memory, moved)
                assert store.count_consumers(moved) == memory.count_consumers(moved)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.floats(1e-6, 1e4), min_size=1, max_size=300), st.sampled_from([0.0, 0.5, 0.95, 0.99, 1.0]))
def test_percentiles_are_within_one_per_cent_of_exact(seconds: list[float], q: float) -> None:
    memory, _ = open_stores("memory:")
    made = [
        UsageEvent(
            id=str(number),
            source="test",
            time=START,
            method="GET",
            path="/",
            status_code=200,
            request=Request(elapsed_time=value),
        )
        for number, value in enumerate(seconds)
    ]
    memory.append([("test", DecodedBatch(len(made), made, []))])
    (row,) = memory.usage(UsageQuery(start=0, end=2**60, sketches=True))

    exact = float(np.quantile([round(value * 1e6) / 1e6 for value in seconds], q, method="lower"))
    estimate = quantile(row.totals.sketch, q)
    assert estimate is not None
    assert abs(estimate - exact) <= 0.01 * exact + 1e-9
