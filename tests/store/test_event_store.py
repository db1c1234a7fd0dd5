"""The one conformance suite of the port ``EventStore``: every implementation passes it."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
import pytest
from msgspec import Raw

from support.stores import ENGINES, store_url
from tollkeeper.errors import InvalidRequestError, StoreError
from tollkeeper.events.codec import DecodedBatch
from tollkeeper.events.event import Client, Consumer, Request, Response, UsageEvent
from tollkeeper.events.receipt import EventError
from tollkeeper.metering.sketch import PAIR
from tollkeeper.metering.usage import Filters, UsageQuery
from tollkeeper.metering.window import DAY, HOUR
from tollkeeper.store.engines import open_stores
from tollkeeper.store.sqlite import events as sqlite_events

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator, Sequence

    from tollkeeper.store.protocols import EventStore

START = datetime(2026, 10, 1, tzinfo=UTC)
START_US = 1_790_812_800_000_000


@pytest.fixture(params=ENGINES)
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[EventStore]:
    events, catalog = open_stores(store_url(request.param, tmp_path))
    yield events
    events.close()
    catalog.close()


def event(number: int = 0, **changes: object) -> UsageEvent:
    plain: dict[str, object] = {
        "id": f"id-{number}",
        "source": "test",
        "time": START + timedelta(minutes=number),
        "method": "GET",
        "path": f"/items/{number}",
        "route": "/items/{id}",
        "status_code": 200,
    }
    return UsageEvent(**(plain | changes))  # type: ignore[arg-type]  # built from plain test data


def batch(*events: UsageEvent, errors: int = 0) -> DecodedBatch:
    wrong = [EventError(len(events) + index, "invalid_event", "wrong") for index in range(errors)]
    return DecodedBatch(len(events) + errors, list(events), wrong)


def whole(**changes: object) -> UsageQuery:
    return UsageQuery(**({"start": 0, "end": START_US * 2} | changes))  # type: ignore[arg-type]  # built from test data


def test_a_receipt_accounts_for_every_event(store: EventStore) -> None:
    first, second = store.append([("test", batch(event(1), event(2), event(1), errors=2)), ("test", batch(event(2)))])

    assert (first.received, first.stored, first.duplicate, first.rejected) == (5, 2, 1, 2)
    assert (second.received, second.stored, second.duplicate, second.rejected) == (1, 0, 1, 0)
    assert [error.index for error in first.errors] == [3, 4]


def test_what_is_nested_deep_is_read_wherever_it_is_read(store: EventStore) -> None:
    def after(frames: int) -> bytes:
        if frames:
            return after(frames - 1)
        found = store.get(1)
        assert found is not None
        assert isinstance(found.event.variables, Raw)
        return bytes(found.event.variables)

    deep = b'{"deep":' + b"[" * 700 + b"]" * 700 + b"}"
    store.append([("test", batch(event(1, variables=Raw(deep))))])
    assert after(400) == deep


def test_the_same_id_of_another_source_is_another_event(store: EventStore) -> None:
    (receipt,) = store.append([("test", batch(event(1), event(1, source="other")))])

    assert receipt.stored == 2


def test_the_ledger_keeps_the_books_by_source_and_recounts(store: EventStore) -> None:
    store.append([("token", batch(event(1), event(1), event(2, source="other"), errors=3))])

    assert {
        row.source: (row.received, row.stored, row.duplicate, row.rejected, row.present)
        for row in store.ledger(recount=True)
    } == {
        "test": (2, 1, 1, 0, 1),
        "other": (1, 1, 0, 0, 1),
        "token": (3, 0, 0, 3, 0),
    }
    assert {row.present for row in store.ledger(recount=False)} == {None}


def test_the_backlog_is_what_is_not_folded(store: EventStore, request: pytest.FixtureRequest) -> None:
    store.append([("test", batch(*(event(number) for number in range(10))))])
    waiting = store.backlog()
    folded = store.fold(4)

    assert store.backlog() == waiting - folded
    assert (waiting, folded) == ((0, 0) if "memory" in request.node.name else (10, 4))


def test_an_event_comes_back_as_it_was(store: EventStore) -> None:
    full = event(
        7,
        id="01a0c0de-0000-7000-8000-00000000000a",
        url="http://shop.test/items/7?q=1",
        path="/items/7",
        exception="ValueError('boom')",
        consumer=Consumer("acme", "Acme Ltd", "ops@acme.test", "gold"),
        api="shop",
        api_version="v2",
        units=Decimal("2.500001"),
        gated=True,
        variables=Raw(b'{"model":"large"}'),
        client=Client(user_agent="curl/8", remote_address="203.0.113.7"),
        request=Request(elapsed_time=0.25, content_length=3, mimetype="text/plain", headers=Raw(b'{"A":["1","2"]}')),
        response=Response(content_length=0, mimetype="application/json", body=Raw(b'{"ok":true}')),
    )
    store.append([("test", batch(full, event(8, request=Request(elapsed_time=0.0))))])

    stored = {found.event.id: found for found in store.page(Filters(), before=None, after=None, limit=10)}
    assert stored[full.id].event.document() == full.document()
    assert stored["id-8"].event.request.elapsed_time == 0.0
    again = store.get(stored[full.id].seq)
    assert again is not None
    assert again.event.document() == full.document()
    assert store.get(10**9) is None


@pytest.mark.parametrize(
    "odd", ["01A0C0DE-0000-7000-8000-00000000000A", "01a0c0de000070008000-00000000000a----", "ä" * 36, "x"]
)
def test_ids_that_only_look_alike_stay_apart(store: EventStore, odd: str) -> None:
    usual = "01a0c0de-0000-7000-8000-00000000000a"
    (receipt,) = store.append([("test", batch(event(1, id=usual), event(2, id=odd)))])

    assert receipt.stored == 2
    assert {found.event.id for found in store.page(Filters(), before=None, after=None, limit=9)} == {usual, odd}


def test_a_missing_route_is_made_from_the_path(store: EventStore) -> None:
    store.append([("test", batch(event(1, route=None, path="/users/42")))])

    (row,) = store.usage(whole(group_by=("route",)))
    assert row.key == (("GET", "/users/{id}", None, None),)


@pytest.mark.parametrize("folded", [False, True])
def test_usage_groups_and_filters(store: EventStore, folded: bool) -> None:  # noqa: FBT001  # pytest passes it by name
    acme, umbrella = Consumer("acme", "Acme"), Consumer("umbrella")
    store.append(
        [
            (
                "test",
                batch(
                    event(0, consumer=acme, request=Request(elapsed_time=0.1), response=Response(content_length=10)),
                    event(1, consumer=acme, status_code=404),
                    event(90, consumer=umbrella, route="/slow", method="POST", request=Request(elapsed_time=2.0)),
                    event(60 * 30, consumer=None, status_code=503, units=Decimal("0.5")),
                ),
            )
        ]
    )
    if folded:
        store.fold(100)

    (total,) = store.usage(whole(sketches=True))
    assert (total.totals.requests, total.totals.errors, total.totals.bytes) == (4, 2, 10)
    assert (total.totals.units, total.totals.timed, total.totals.elapsed) == (3_500_000, 2, 2_100_000)
    assert np.frombuffer(total.totals.sketch, PAIR)["count"].sum() == 2

    def counts(**changes: object) -> dict[object, int]:
        return {(row.start, *row.key): row.totals.requests for row in store.usage(whole(start=START_US, **changes))}

    assert counts(step=HOUR) == {(START_US,): 2, (START_US + HOUR,): 1, (START_US + 30 * HOUR,): 1}
    assert counts(step=DAY, group_by=("status",)) == {
        (START_US, 200): 2,
        (START_US, 404): 1,
        (START_US + DAY, 503): 1,
    }
    assert counts(group_by=("consumer",)) == {
        (START_US, ("acme", "Acme")): 2,
        (START_US, ("umbrella", None)): 1,
        (START_US, None): 1,
    }
    assert counts(filters=Filters(consumer="acme", status="4xx")) == {(START_US,): 1}
    assert counts(filters=Filters(status="503")) == {(START_US,): 1}
    assert counts(filters=Filters(route="/slow")) == {(START_US,): 1}
    assert counts(filters=Filters(method="POST", consumer="umbrella")) == {(START_US,): 1}
    assert counts(filters=Filters(method="POST", consumer="acme")) == {}
    assert counts(filters=Filters(consumer="nobody")) == {}
    assert counts(filters=Filters(route="/never")) == {}


@pytest.mark.parametrize("folded", [0, 100, 150])
def test_the_largest_groups_and_who_called(store: EventStore, folded: int) -> None:
    events = [
        event(
            number,
            consumer=Consumer(f"c{number % (number % 20 + 1)}") if number % 3 else None,
            time=START + timedelta(hours=number),
            request=Request(elapsed_time=0.1),
        )
        for number in range(200)
    ]
    store.append([("test", batch(*events))])
    store.fold(folded)
    everything = {
        row.key: row.totals for row in store.usage(whole(start=START_US, group_by=("consumer",), sketches=True))
    }
    largest = {
        row.key: row.totals
        for row in store.usage(whole(start=START_US, group_by=("consumer",), sketches=True, largest=3))
    }

    assert largest.items() <= everything.items()
    third = sorted((totals.requests for totals in everything.values()), reverse=True)[2]
    assert largest.keys() == {key for key, totals in everything.items() if totals.requests >= third}
    for query in (
        whole(start=START_US),
        whole(start=START_US, step=DAY),
        whole(start=START_US + 5, end=START_US + 3 * DAY + 7, step=HOUR),
        whole(start=START_US, step=DAY, filters=Filters(status="2xx", route="/items/{id}")),
        whole(start=START_US, step=DAY, filters=Filters(status="2xx")),
    ):
        expected: dict[int, set[str]] = {}
        for one in events:
            at = one.time_us
            if one.consumer and query.start <= at < query.end:
                bucket = query.start if query.step is None else at // query.step * query.step
                expected.setdefault(bucket, set()).add(one.consumer.key)
        assert store.count_consumers(query) == {start: len(keys) for start, keys in expected.items()}
    assert store.count_consumers(whole(filters=Filters(consumer="nobody"))) == {}
    assert store.count_consumers(whole(filters=Filters(status="404"))) == {}
    for filters in (Filters(route="/items/{id}"), Filters(consumer="c1"), Filters(status="404")):
        ranked = store.usage(whole(group_by=("consumer",), filters=filters, largest=3))
        all_of_them = store.usage(whole(group_by=("consumer",), filters=filters))
        assert {row.key for row in ranked} == {
            row.key
            for row in all_of_them
            if row.totals.requests >= sorted((row.totals.requests for row in all_of_them), reverse=True)[:3][-1]
        }


@pytest.mark.parametrize("folded", [False, True])
def test_pages_are_newest_first_and_continue_exactly(store: EventStore, folded: bool) -> None:  # noqa: FBT001  # by name
    events = [event(number * 37 % 101 * 60, id=f"e{number}") for number in range(50)]
    events += [event(7, id=f"same-{number}", consumer=Consumer("acme")) for number in range(5)]
    store.append([("test", batch(*events))])
    if folded:
        store.fold(30)

    for filters, expected in ((Filters(), 55), (Filters(consumer="acme"), 5), (Filters(status="2xx"), 55)):
        seen: list[tuple[int, int]] = []
        before = None
        while page := store.page(filters, before=before, after=None, limit=4):
            seen += [(found.event.time_us, found.seq) for found in page]
            before = seen[-1]
        assert seen == sorted(set(seen), reverse=True)
        assert len(seen) == expected
    newest = store.page(Filters(), before=None, after=None, limit=1)[0]
    assert store.page(Filters(), before=None, after=(newest.event.time_us, newest.seq), limit=5) == []
    assert len(store.page(Filters(status="2xx"), before=None, after=seen[-3], limit=100)) == 52


def test_a_page_of_a_rare_consumer_reads_few_events(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    steps = 0

    def counted(connection: sqlite3.Connection, sql: str, values: Sequence[Any]) -> list[Any]:
        def count() -> None:
            nonlocal steps
            steps += 1

        connection.set_progress_handler(count, 1)
        try:
            return connection.execute(sql, values).fetchall()
        finally:
            connection.set_progress_handler(None, 0)

    monkeypatch.setattr(sqlite_events, "select", counted)
    events, catalog = open_stores(store_url("sqlite", tmp_path))
    rare = [7, 1_200, 2_399, 2_401]
    made = [
        event(number, time=START + timedelta(minutes=20 * number), consumer=Consumer("rare" if number in rare else "c"))
        for number in range(2_500)
    ]
    events.append([("test", batch(*made))])
    events.fold(2_400)

    page = events.page(Filters(consumer="rare"), before=None, after=None, limit=10)
    assert [found.event.id for found in page] == [f"id-{number}" for number in sorted(rare, reverse=True)]
    assert steps < 8_000  # of the engine; to look at each event takes 10 for each
    events.close()
    catalog.close()


@pytest.mark.parametrize("status", ["", "abc", "4x", "40x", "4040", "٤٠٤"])
def test_a_status_filter_that_is_none_is_refused(store: EventStore, status: str) -> None:
    store.append([("test", batch(event(1)))])

    with pytest.raises(InvalidRequestError, match="status is"):
        store.usage(whole(filters=Filters(status=status)))


def test_a_consumer_keeps_what_is_known_of_it(store: EventStore) -> None:
    store.append([("test", batch(event(1, consumer=Consumer("acme", "Acme", "a@acme.test"))))])
    store.append([("test", batch(event(2, consumer=Consumer("acme", group="gold"))))])

    (row,) = store.usage(whole(group_by=("consumer",)))
    assert row.totals.requests == 2
    assert row.key == (("acme", "Acme"),)


def test_the_store_gives_events_in_the_shape_of_the_wire(store: EventStore) -> None:
    store.append([("test", batch(event(3)))])
    (found,) = store.page(Filters(), before=None, after=None, limit=1)

    assert msgspec.json.decode(msgspec.json.encode(found.event), type=UsageEvent) == event(3)


def test_readers_in_many_threads_share_few_connections(tmp_path: Path) -> None:
    events, catalog = open_stores(f"sqlite:///{tmp_path}/store.db")
    for _ in range(50):
        thread = threading.Thread(target=events.get, args=(1,))
        thread.start()
        thread.join()
    files = [link.readlink() for link in Path("/proc/self/fd").iterdir() if link.is_symlink()]

    assert 0 < sum(str(file).startswith(f"{tmp_path}/store.db") for file in files) < 10
    events.close()
    catalog.close()
    with pytest.raises(StoreError, match="closed"):
        events.get(1)


def test_the_file_is_its_owners_alone(tmp_path: Path) -> None:
    events, catalog = open_stores(f"sqlite:///{tmp_path}/store.db")
    assert (tmp_path / "store.db").stat().st_mode & 0o077 == 0
    events.close()
    catalog.close()
