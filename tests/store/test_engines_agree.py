"""The same random history on every engine gives the same receipts, books, usage, pages and answers."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec import Raw

from support.stores import empty, store_url
from tollkeeper.events.codec import DecodedBatch
from tollkeeper.events.event import Consumer, Request, Response, UsageEvent
from tollkeeper.events.receipt import EventError
from tollkeeper.metering.usage import Filters, UsageQuery
from tollkeeper.metering.window import DAY, HOUR
from tollkeeper.store.engines import open_stores

if TYPE_CHECKING:
    from tollkeeper.store.protocols import EventStore

START = datetime(2026, 1, 30, 22, 50, tzinfo=UTC)
START_US = 1_769_813_400_000_000

# Also what one engine or the other holds in another way: U+0000, what marks it, ids that are UUIDs and that look so.
texts = st.sampled_from(["a", "b", "A", "\0", "\uffff0", "x\0y", "ä", "💰"])
ids = st.integers(0, 25).map("01a0c0de-0000-7000-8000-{:012}".format) | st.integers(0, 9).map(str) | texts
texts_of_uuids = st.sampled_from(["fifteen bytes..", "sixteen bytes...", "fourteen bytes"])
events = st.builds(
    lambda offset, units, elapsed, size, **fields: UsageEvent(
        time=START + timedelta(microseconds=offset),
        units=Decimal(units) / 4,
        request=Request(elapsed_time=elapsed, headers=Raw(b'{"A":"1"}')),
        response=Response(content_length=size),
        **fields,
    ),
    id=ids | texts_of_uuids,
    source=st.sampled_from(["shop", "till\0"]),
    offset=st.integers(0, 5 * DAY) | st.sampled_from([-(10**15), 10**15, 0, HOUR, DAY]),
    method=st.sampled_from(["GET", "POST"]),
    path=texts.map("/items/{}".format),
    route=st.none() | texts.map("/{}".format),
    api=st.none() | texts,
    status_code=st.sampled_from([200, 404, 503]),
    consumer=st.none() | st.builds(Consumer, texts, st.none() | texts, st.none(), st.none() | texts),
    units=st.integers(0, 12),
    elapsed=st.none() | st.floats(0, 100),
    size=st.none() | st.integers(0, 10**6),
)
batches = st.lists(st.tuples(st.lists(events, max_size=5), st.integers(0, 2)), min_size=1, max_size=2)
history = st.lists(st.tuples(batches, st.integers(0, 12)), min_size=1, max_size=3)
some_filters = st.builds(
    Filters,
    route=st.none() | texts.map("/{}".format),
    consumer=st.none() | texts,
    api=st.none() | texts,
    status=st.sampled_from([None, "4xx", "200"]),
)


@pytest.fixture(scope="module")
def postgresql_url(tmp_path_factory: pytest.TempPathFactory) -> str:
    return store_url("postgresql", tmp_path_factory.mktemp("store"))


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(history=history, filters=some_filters)
def test_the_same_history_gives_the_same_answers(
    postgresql_url: str,
    tmp_path_factory: pytest.TempPathFactory,
    history: list[tuple[list[tuple[list[UsageEvent], int]], int]],
    filters: Filters,
) -> None:
    sqlite, first = open_stores(store_url("sqlite", tmp_path_factory.mktemp("store")))
    postgresql, second = open_stores(postgresql_url)
    empty(postgresql_url)
    try:
        for group, fold in history:
            decoded = [("tokens", batch(events, errors)) for events, errors in group]
            assert sqlite.append(decoded) == postgresql.append(decoded)
            assert sqlite.fold(fold) == postgresql.fold(fold)
            assert answers(sqlite, filters) == answers(postgresql, filters)
    finally:
        for opened in (sqlite, first, postgresql, second):
            opened.close()


def batch(events: list[UsageEvent], errors: int) -> DecodedBatch:
    wrong = [EventError(index, "invalid_event", "wrong") for index in range(errors)]
    return DecodedBatch(len(events) + errors, events, wrong)


def answers(store: EventStore, filters: Filters) -> list[Any]:
    everything = UsageQuery(start=0, end=2**60, filters=filters, sketches=True)
    some = UsageQuery(
        start=START_US - 7, end=START_US + 2 * DAY + 3, step=HOUR, filters=filters, group_by=("route", "consumer")
    )
    largest = UsageQuery(start=0, end=2**60, filters=filters, group_by=("consumer",), largest=2, sketches=True)
    usage = [sorted(store.usage(query), key=repr) for query in (everything, some, largest)]
    page = store.page(filters, before=None, after=None, limit=20)
    rest = page and store.page(filters, before=(page[-1].event.time_us, page[-1].seq), after=None, limit=200)
    found = sorted(([moment.event.time_us, moment.event.document()] for moment in [*page, *rest]), key=repr)
    for stored in page:
        assert store.get(stored.seq) == stored
    return [usage, store.count_consumers(some), found, store.ledger(recount=True), store.backlog()]
