"""What only PostgreSQL has: partitions, nodes, sessions that break, and text that it would not hold."""

from __future__ import annotations

import os
import threading
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import psycopg
import pytest

from support.requirements import require
from support.servers.postgresql import postgresql
from tollkeeper.errors import ConfigurationError, MissingDependencyError, StoreError
from tollkeeper.events.codec import DecodedBatch
from tollkeeper.events.event import Consumer, Request, UsageEvent
from tollkeeper.metering.usage import Filters, UsageQuery
from tollkeeper.service.reconcile import reconcile
from tollkeeper.store import engines
from tollkeeper.store.engines import open_leadership, open_stores, shown_url
from tollkeeper.store.postgresql import connections, events, folding, inserting, sessions
from tollkeeper.store.sql.folding import roll_up_all

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tollkeeper.metering.rollup import Columns
    from tollkeeper.store.protocols import EventStore

MOMENT = datetime(2026, 10, 1, tzinfo=UTC)
TABLES = "SELECT relname FROM pg_class WHERE relkind = 'r' AND relname ~ '^event_[0-9]' ORDER BY relname"


@pytest.fixture
def url() -> str:
    return postgresql().fresh_database()


@pytest.fixture
def opened(url: str) -> Iterator[Callable[[], EventStore]]:
    """A function that opens the store once more, as another node does."""
    pairs = []

    def another() -> EventStore:
        pairs.append(open_stores(url))
        return pairs[-1][0]

    yield another
    for store, catalog in pairs:
        store.close()
        catalog.close()


def ask(url: str, sql: str) -> list[tuple[object, ...]]:
    with psycopg.connect(url, autocommit=True) as connection:
        cursor = connection.execute(sql)
        return cursor.fetchall() if cursor.description else []


def event(number: int, **changes: object) -> UsageEvent:
    plain: dict[str, object] = {
        "id": f"id-{number}",
        "source": "shop",
        "time": MOMENT,
        "method": "GET",
        "path": f"/items/{number}",
        "route": "/items/{id}",
        "status_code": 200,
    }
    return UsageEvent(**(plain | changes))  # type: ignore[arg-type]  # built from plain test data


def append(store: EventStore, *found: UsageEvent) -> int:
    (receipt,) = store.append([("shop", DecodedBatch(len(found), list(found), []))])
    return receipt.stored


def total(store: EventStore) -> int:
    return sum(row.totals.requests for row in store.usage(UsageQuery(start=0, end=2**60)))


def test_a_partition_for_each_month_that_has_events_and_two_for_wild_clocks(
    opened: Callable[[], EventStore], url: str
) -> None:
    store = opened()
    years = [1970, 2019, 2020, 2026, 2049, 2050, 9998]
    days = [datetime(year, month, 15, tzinfo=UTC) for year in years for month in (1, 12)]
    assert append(store, *(event(number, time=day) for number, day in enumerate(days))) == len(days)

    months = [f"event_{year}_{month}" for year in (2020, 2026, 2049) for month in ("01", "12")]
    assert [name for (name,) in ask(url, TABLES)] == months
    newest_first = [found.event.time for found in store.page(Filters(), before=None, after=None, limit=100)]
    assert newest_first == sorted(days, reverse=True)
    assert (
        append(opened(), event(99, time=days[6]), event(5)) == 1
    )  # another node, the same month, an id of another one


def test_a_partition_that_was_taken_away_is_made_again(opened: Callable[[], EventStore], url: str) -> None:
    store = opened()
    append(store, event(1))
    ask(url, "DROP TABLE event_2026_10")

    assert append(store, event(1), event(2)) == 1  # that one was there is known for ever
    assert [found.event.id for found in store.page(Filters(), before=None, after=None, limit=9)] == ["id-2"]


def test_any_text_comes_back_and_is_found(opened: Callable[[], EventStore]) -> None:
    store = opened()
    wide = "💰" * 255
    odd = event(
        1,
        id="\0",
        source="\0\uffff",
        method="💰" * 32,
        path="/\0",
        route="/\uffff0" + "💰" * 1000,
        api=wide,
        api_version=wide,
        consumer=Consumer("\0", "\uffff", wide, wide),
    )
    assert append(store, odd, event(2, id=wide, source=wide, consumer=Consumer(wide)), event(3)) == 3
    assert append(store, odd) == 0

    for filters in (Filters(consumer="\0"), Filters(route=odd.route), Filters(api=wide)):
        (found,) = store.page(filters, before=None, after=None, limit=9)
        assert found.event.document() == odd.document()
    assert {row.source for row in store.ledger(recount=True)} == {"\0\uffff", "shop", wide}


def test_nodes_that_are_sent_the_same_events_count_them_once(opened: Callable[[], EventStore], url: str) -> None:
    stored: list[int] = []

    def send(store: EventStore, seed: int) -> None:
        for start in range(0, 600, 50):  # each id reaches every node, in another order, with other neighbours
            numbers = [(number * seed) % 601 for number in range(start, start + 75)]
            found = [event(n, consumer=Consumer(f"c{n * seed % 97}"), route=f"/{n % 50}") for n in numbers]
            stored.append(append(store, *found))
            store.fold(100)

    stores = [opened() for _ in range(4)]
    threads = [threading.Thread(target=send, args=pair) for pair in zip(stores, (1, 7, 600, 594), strict=True)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
        assert not thread.is_alive()
    present = [seq for (seq,) in ask(url, "SELECT seq FROM event ORDER BY seq")]
    assert len(stored) == 4 * 12
    assert present == list(range(1, sum(stored) + 1))
    while stores[0].fold(50):
        assert total(stores[1]) == len(present)
    assert reconcile(stores[2]).problems == []
    assert stores[3].backlog() == 0


def test_what_is_seen_has_nothing_still_to_come_below_it(opened: Callable[[], EventStore], url: str) -> None:
    writers, reader = [opened() for _ in range(3)], opened()
    done = threading.Event()

    def send(store: EventStore, seed: int) -> None:
        for number in range(40):
            append(store, *(event(1_000 * seed + 10 * number + index) for index in range(1 + (number * seed) % 9)))

    threads = [threading.Thread(target=send, args=(store, seed)) for seed, store in enumerate(writers, 1)]
    for thread in threads:
        thread.start()
    with psycopg.connect(url, autocommit=True) as connection:
        while not done.is_set():
            if not any(thread.is_alive() for thread in threads):
                done.set()
            row = connection.execute("SELECT COUNT(*), COALESCE(MAX(seq), 0) FROM event").fetchone()
            assert row is not None
            assert row[0] == row[1]
            reader.fold(7)
    while reader.fold(1_000):
        pass
    assert total(reader) == len(ask(url, "SELECT 1 FROM event"))


def test_a_session_that_the_server_ended_is_replaced(opened: Callable[[], EventStore], url: str) -> None:
    store = opened()
    append(store, event(1))
    others = (
        "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = current_database() AND pid <> "
    )
    assert ask(url, f"{others} pg_backend_pid()")

    assert append(store, event(2)) == 1
    assert total(store) == 2


def test_a_transaction_that_is_cut_off_stores_nothing(
    opened: Callable[[], EventStore], url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = opened()
    append(store, event(1))
    insert = inserting.insert_events

    def cut_off(session: psycopg.Connection, rows: object) -> object:
        stored = insert(session, rows)  # type: ignore[arg-type]  # handed on
        ask(url, f"SELECT pg_terminate_backend({session.info.backend_pid}, 5000)")
        return stored

    monkeypatch.setattr(events, "insert_events", cut_off)
    with pytest.raises(StoreError, match="PostgreSQL store failed"):
        append(store, event(2))
    monkeypatch.undo()
    assert append(store, event(2)) == 1


def test_a_deadlock_is_tried_again_and_any_other_failure_is_not(
    opened: Callable[[], EventStore], monkeypatch: pytest.MonkeyPatch
) -> None:
    store = opened()
    insert = inserting.insert_events
    failures: list[psycopg.Error] = [psycopg.errors.DeadlockDetected("x"), psycopg.errors.SerializationFailure("y")]

    def failing(session: psycopg.Connection, rows: object) -> object:
        if failures:
            raise failures.pop()
        return insert(session, rows)  # type: ignore[arg-type]  # handed on

    monkeypatch.setattr(events, "insert_events", failing)
    assert append(store, event(1)) == 1
    failures += [psycopg.errors.DiskFull("no space\nDETAIL: secret")]
    with pytest.raises(StoreError, match=r"no space\.$"):
        append(store, event(2))
    failures += [psycopg.errors.DeadlockDetected("still")] * 3
    with pytest.raises(StoreError, match="still"):
        append(store, event(2))
    assert append(store, event(2)) == 1


def test_a_server_that_is_away_is_said_fast_and_found_again(opened: Callable[[], EventStore]) -> None:
    server = postgresql()
    require("a PostgreSQL of our own", server.process)
    assert server.process is not None
    store = opened()
    append(store, event(1))
    server.process.stop()
    began = time.monotonic()
    try:
        for _ in range(50):
            with pytest.raises(StoreError, match="Cannot reach the store postgresql://tester@127"):
                append(store, event(2))
    finally:
        server.process.start()
    assert time.monotonic() - began < 5 + connections.REFUSED_SECONDS
    time.sleep(connections.REFUSED_SECONDS)
    assert append(store, event(2)) == 1


def test_a_child_has_sessions_of_its_own(opened: Callable[[], EventStore]) -> None:
    store = opened()
    append(store, event(1))
    child = os.fork()
    if not child:
        code = 1
        try:
            code = 0 if append(store, event(2)) == 1 else 2
        finally:
            os._exit(code)
    assert append(store, event(3)) == 1
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert total(store) == 3


def test_a_child_leaves_alone_what_its_parent_was_busy_with(opened: Callable[[], EventStore]) -> None:
    store = opened()
    append(store, event(1))
    with store._connections.read() as session:  # type: ignore[attr-defined]  # busy for longer than a fork waits
        child = os.fork()
        if not child:
            code = 1
            try:
                code = 0 if append(store, event(2)) == 1 else 2
            finally:
                os._exit(code)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        assert session.execute("SELECT 1").fetchone() == (1,)
    assert total(store) == 2


def test_sessions_are_few_and_who_waits_too_long_is_told(
    opened: Callable[[], EventStore], monkeypatch: pytest.MonkeyPatch
) -> None:
    store = opened()
    monkeypatch.setattr(connections, "WAIT_SECONDS", 0.05)
    held = [store._connections.read() for _ in range(connections.POOL_SIZE)]  # type: ignore[attr-defined]  # all of them
    for one in held:
        one.__enter__()
    with pytest.raises(StoreError, match="Too many questions"):
        store.get(1)
    for one in held:
        one.__exit__(None, None, None)
    assert store.get(1) is None
    store.close()
    with pytest.raises(StoreError, match="is closed"):
        store.get(1)


def test_one_node_leads_until_it_resigns_or_its_session_ends(url: str) -> None:
    first, second = open_leadership(url), open_leadership(url)
    assert (first.lead(), second.lead(), first.lead()) == (True, False, True)
    first.resign()
    first.resign()
    assert (second.lead(), first.lead()) == (True, False)
    leader = (
        "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE application_name LIKE 'tollkeeper leader %'"
    )
    assert ask(url, leader) == [(True,)]
    with pytest.raises(StoreError, match="PostgreSQL store failed"):
        second.lead()
    assert (first.lead(), second.lead()) == (True, False)
    first.resign()
    second.resign()
    alone = open_leadership("memory:")
    assert alone.lead()
    alone.resign()


def test_a_password_is_never_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    assert (
        shown_url("postgresql://me:secret@db.test:5433/usage?password=secret") == "postgresql://me@db.test:5433/usage"
    )
    assert shown_url("postgres:///usage?host=/run") == "postgresql:///run/usage"
    for wrong in (
        "postgresql://me:secret@127.0.0.1:1/usage",
        "postgresql://me:sec%ret@127.0.0.1/usage",
        "postgresql://me:secret@127.0.0.1/usage?colour=secret",
        "mysql://me:secret@127.0.0.1/usage",
    ):
        with pytest.raises((ConfigurationError, StoreError)) as caught:
            open_stores(wrong)
        assert "sec" not in str(caught.value).replace("unsecured", "")
    monkeypatch.setattr(engines, "find_spec", lambda _: None)
    with pytest.raises(MissingDependencyError, match="server,postgresql"):
        open_stores("postgresql:///usage")


def test_a_long_sketch_is_made_short(opened: Callable[[], EventStore], url: str) -> None:
    store = opened()
    for fold in range(12):  # each adds to the same rows
        found = [event(100 * fold + index, request=Request(elapsed_time=0.001 * 1.03**index)) for index in range(100)]
        append(store, *found)
        store.fold(1_000)

    assert ask(url, "SELECT COUNT(*) FILTER (WHERE octet_length(sketch) > 2000) FROM rollup") == [(0,)]
    (row,) = store.usage(UsageQuery(start=0, end=2**60, sketches=True))
    assert len(row.totals.sketch) == 600


def test_who_comes_second_at_the_same_events_folds_nothing(
    opened: Callable[[], EventStore], monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = opened(), opened()
    append(first, event(1), event(2))

    def overtaken(columns: Columns) -> object:
        monkeypatch.undo()
        assert second.fold(10) == 2
        return roll_up_all(columns)

    monkeypatch.setattr(folding, "roll_up_all", overtaken)
    assert first.fold(10) == 0
    assert total(first) == 2


@pytest.mark.parametrize(("module", "name"), [(connections, "READ"), (sessions, "CONFIGURE")])
def test_a_server_that_refuses_the_first_word_is_a_store_error(
    opened: Callable[[], EventStore], monkeypatch: pytest.MonkeyPatch, module: object, name: str
) -> None:
    store = opened()
    monkeypatch.setattr(connections, "REFUSED_SECONDS", 0.0)
    monkeypatch.setattr(module, name, "SELECT 1 / 0")
    with pytest.raises(StoreError, match="division by zero"):
        store.get(1)
    monkeypatch.undo()
    assert store.get(1) is None


def test_a_database_that_cannot_hold_every_text_is_refused(url: str) -> None:
    name = f"{url.rpartition('/')[2]}_latin"
    ask(url, f"CREATE DATABASE {name} ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0")

    with pytest.raises(ConfigurationError, match="encoding LATIN1: make one with UTF8"):
        open_stores(f"{url}_latin")
