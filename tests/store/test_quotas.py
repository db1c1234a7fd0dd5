"""The one conformance suite of the port ``Quotas``: memory, SQLite and PostgreSQL pass it."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, NamedTuple

import pytest
from msgspec.structs import replace

from support.stores import DURABLE, ENGINES, run_sql, store_url
from tollkeeper.billing.counter import Counter, Hold
from tollkeeper.errors import StoreError
from tollkeeper.metering.window import DAY, HOUR
from tollkeeper.store.engines import open_stores
from tollkeeper.store.quotas.opening import open_quotas

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tollkeeper.store.protocols import Quotas

MOST = 2**63 - 1


class Opened(NamedTuple):
    url: str
    quotas: Quotas


@pytest.fixture(params=ENGINES)
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Opened]:
    url = store_url(request.param, tmp_path)
    for opened in open_stores(url):
        opened.close()
    quotas = open_quotas(url)
    yield Opened(url, quotas)
    quotas.close()
    quotas.close()


@pytest.fixture
def quotas(store: Opened) -> Quotas:
    return store.quotas


def counter(name: str, subscription: str = "sub_1", **figures: int) -> Counter:
    return Counter(id=f"{subscription}|{name}", subscription=subscription, **figures)


def hold(hold_id: str, **values: object) -> Hold:
    return replace(Hold(id=hold_id, consumer="key_1", counters=["sub_1|a"], units=5, expires_at=100), **values)


def put(quotas: Quotas, *rows: Counter | Hold) -> None:
    with quotas.writing() as book:
        book.put([row for row in rows if isinstance(row, Counter)])
        book.hold([row for row in rows if isinstance(row, Hold)])


def test_a_counter_is_kept_as_it_is_and_replaced(quotas: Quotas) -> None:
    full = Counter(
        id="sub_1|orders all month|1", subscription="sub_1", used=MOST, held=1, carried=2, arrival=3, starts_at=4,
        ends_at=MOST, closed_at=6,
    )  # fmt: skip
    put(quotas, full, counter("b"))
    put(quotas, counter("b", used=7), counter("c"))
    with quotas.reading() as book:
        found = book.counters([full.id, "sub_1|b", "sub_1|b", "none", "\0", "\ud800", "'; --"])
        assert found == {full.id: full, "sub_1|b": counter("b", used=7)}
        assert book.counters([]) == {}


def test_a_hold_is_kept_as_it_is_and_replaced(quotas: Quotas) -> None:
    full = Hold(
        id="lea_1", consumer="key_ü", endpoint='/Ü"\0\uffff😀', counters=["a", 'b|"'], units=MOST, used=2, lease=True,
        open=False, expires_at=MOST,
    )  # fmt: skip
    put(quotas, full, hold("hld_1"), hold("hld_2", counters=[]))
    put(quotas, hold("hld_1", used=3, open=False))
    with quotas.reading() as book:
        found = book.holds(["lea_1", "hld_1", "hld_2", "none", "\0"])
        assert found == {
            "lea_1": full,
            "hld_1": hold("hld_1", used=3, open=False),
            "hld_2": hold("hld_2", counters=[]),
        }
        assert [type(value) for value in (found["lea_1"].lease, found["hld_2"].open)] == [bool, bool]
        assert book.holds([]) == {}


def test_many_are_written_and_read_at_once(quotas: Quotas) -> None:
    counters = [counter(f"{number:05}", used=number) for number in range(3_000)]
    put(quotas, *counters, *(hold(f"hld_{number:05}") for number in range(3_000)))
    with quotas.reading() as book:
        assert book.counters([one.id for one in counters]) == {one.id: one for one in counters}
        assert len(book.holds([f"hld_{number:05}" for number in range(1, 3_001)])) == 2_999


def test_the_counters_of_subscriptions_come_by_start(quotas: Quotas) -> None:
    later, sooner = counter("a", starts_at=5, ends_at=9), counter("b", starts_at=1, ends_at=6)
    other = counter("c", "sub_0", starts_at=7, ends_at=8)
    put(quotas, later, sooner, other, counter("d", ends_at=5), counter("e", "sub_2", ends_at=9), counter("pace"))
    with quotas.reading() as book:
        assert book.counters_of(["sub_1", "sub_0", "none", "\0"], since=5) == [other, sooner, later]
        assert book.counters_of(["sub_1"], since=6) == [later]
        assert book.counters_of([], since=0) == []


def test_periods_that_have_ended_are_listed_until_they_are_closed(quotas: Quotas) -> None:
    first, second = counter("a", ends_at=3), counter("b", ends_at=5)
    put(quotas, second, first, counter("c", ends_at=6), counter("d", ends_at=2, closed_at=4), counter("pace"))
    with quotas.reading() as book:
        assert book.ended(5, 9) == [first, second]
        assert book.ended(5, 1) == book.ended(4, 9) == [first]
    put(quotas, replace(first, closed_at=7))
    with quotas.reading() as book:
        assert book.ended(5, 9) == [second]


def test_open_reservations_are_listed_by_consumer(quotas: Quotas) -> None:
    mine = [hold("hld_1"), hold("hld_2", endpoint="/a", expires_at=1), hold("hld_3", consumer="key_2")]
    put(quotas, mine[2], mine[1], mine[0], hold("lea_1", lease=True), hold("hld_4", open=False))
    with quotas.reading() as book:
        assert book.open_holds(["key_1", "key_2", "key_9", "\0"]) == mine
        assert book.open_holds(["key_2"]) == mine[2:]
        assert book.open_holds([]) == []


def test_what_is_due_comes_earliest_first(quotas: Quotas) -> None:
    due = [hold("hld_3", expires_at=1), hold("lea_1", lease=True, expires_at=2), hold("hld_1", expires_at=5)]
    put(quotas, *due, hold("hld_2", expires_at=6), hold("hld_4", open=False, expires_at=1))
    with quotas.reading() as book:
        assert book.due(5, 9) == due
        assert book.due(5, 2) == due[:2]
        assert book.due(0, 9) == []
        assert book.due(9, 9, leases_only=True) == [due[1]]


def test_what_is_over_is_forgotten(quotas: Quotas) -> None:
    over = [hold(f"hld_{number}", open=False, expires_at=number) for number in range(4)]
    put(quotas, *over, hold("hld_9", expires_at=0))
    with quotas.writing() as book:
        assert [book.forget(3, 2), book.forget(3, 2), book.forget(3, 2)] == [2, 1, 0]
    with quotas.reading() as book:
        assert book.holds([f"hld_{number}" for number in range(10)]).keys() == {"hld_3", "hld_9"}


def test_of_counters_those_of_short_periods_are_forgotten_when_they_are_closed(quotas: Quotas) -> None:
    put(
        quotas,
        counter("minute", closed_at=3 * HOUR, starts_at=HOUR, ends_at=HOUR + 60),
        counter("hour", closed_at=3 * HOUR, starts_at=HOUR, ends_at=2 * HOUR),
        counter("open", starts_at=HOUR, ends_at=HOUR + 60),
        counter("day", closed_at=3 * HOUR, starts_at=0, ends_at=DAY),
        counter("rate", arrival=5),
    )
    with quotas.writing() as book:
        assert [book.forget(2 * HOUR, 9), book.forget(2 * DAY, 9), book.forget(2 * DAY, 9)] == [1, 1, 0]
    with quotas.reading() as book:
        left = book.counters([f"sub_1|{name}" for name in ("minute", "hour", "open", "day", "rate")])
        assert left.keys() == {"sub_1|open", "sub_1|day", "sub_1|rate"}


def test_the_position_moves(quotas: Quotas) -> None:
    with quotas.writing() as book:
        assert book.position() == 0
        book.move(MOST)
        assert book.position() == MOST
    with quotas.reading() as book:
        assert book.position() == MOST


def test_a_transaction_that_raises_has_written_nothing(quotas: Quotas) -> None:
    def fail() -> None:
        with quotas.writing() as book:
            book.put([counter("a")])
            book.hold([hold("hld_1")])
            book.move(5)
            assert book.counters(["sub_1|a"])
            assert book.holds(["hld_1"])
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    with quotas.reading() as book:
        assert (book.counters(["sub_1|a"]), book.holds(["hld_1"]), book.position()) == ({}, {}, 0)


def test_a_reader_sees_one_moment(quotas: Quotas) -> None:
    put(quotas, counter("a", used=1))
    with quotas.reading() as book:
        assert book.counters(["sub_1|a"])["sub_1|a"].used == 1
        put(quotas, counter("a", used=2), counter("b"))
        assert book.counters(["sub_1|a", "sub_1|b"]) == {"sub_1|a": counter("a", used=1)}


def test_writers_wait_for_one_another(store: Opened) -> None:
    others = [store.quotas if store.url == "memory:" else open_quotas(store.url) for _ in range(4)]

    def count(quotas: Quotas) -> None:
        for _ in range(10):
            with quotas.writing() as book:
                found = book.counters(["sub_1|a"]).get("sub_1|a", counter("a"))
                book.put([replace(found, used=found.used + 1)])

    threads = [threading.Thread(target=count, args=(quotas,)) for quotas in others]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    with store.quotas.reading() as book:
        assert book.counters(["sub_1|a"]) == {"sub_1|a": counter("a", used=40)}
    for quotas in others:
        quotas.close()


@pytest.mark.parametrize("store", DURABLE, indirect=True)
def test_what_is_written_stays(store: Opened) -> None:
    put(store.quotas, counter("a", used=1), hold("hld_1"))
    store.quotas.close()
    again = open_quotas(store.url)
    with again.reading() as book:
        assert book.counters(["sub_1|a"]) == {"sub_1|a": counter("a", used=1)}
        assert book.holds(["hld_1"]) == {"hld_1": hold("hld_1")}
    again.close()


@pytest.mark.parametrize("store", DURABLE, indirect=True)
def test_a_store_that_fails_says_so(store: Opened) -> None:
    run_sql(store.url, "ALTER TABLE quota_hold RENAME TO gone")
    with pytest.raises(StoreError):
        put(store.quotas, counter("a"), hold("hld_1"))
    with store.quotas.reading() as book:
        assert book.counters(["sub_1|a"]) == {}
