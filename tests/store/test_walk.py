"""Reading events group by group: each engine gives what a naive look at all events gives, in one snapshot."""

from __future__ import annotations

import contextlib
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import TYPE_CHECKING, NamedTuple

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec import UNSET, Raw
from msgspec.structs import replace

from support.stores import DURABLE, ENGINES, empty, run_sql, store_url
from tollkeeper.errors import StoreError
from tollkeeper.events.codec import DecodedBatch
from tollkeeper.events.event import Client, Consumer, Error, Request, Response, UsageEvent
from tollkeeper.metering.window import DAY, HOUR
from tollkeeper.store.engines import open_stores
from tollkeeper.store.postgresql import walking as postgresql
from tollkeeper.store.protocols import EventSpan
from tollkeeper.store.sql import hours, walked, walking
from tollkeeper.store.sqlite import walking as sqlite

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from tollkeeper.store.protocols import EventStore, StoredEvent

    Groups = Sequence[Sequence[str]] | None

START = datetime(2026, 10, 1, 0, 30, tzinfo=UTC)
START_US = 1_790_814_600_000_000
KEYS = [f"key-{number}" for number in range(6)]
NUMBERS = count()

offsets = st.integers(0, 3 * DAY) | st.sampled_from([0, HOUR // 2, HOUR, DAY, DAY - 1])
events = st.builds(
    lambda offset, who, route, units: UsageEvent(
        source="test",
        time=START + timedelta(microseconds=offset),
        method="GET",
        path=route or "/x",
        route=route,
        status_code=200,
        consumer=who and Consumer(who, f"The {who}"),
        units=units,
    ),
    offsets,
    st.sampled_from([None, *KEYS]),
    st.sampled_from(["/a", "/b/{id}", None]),
    st.decimals("0", "3", places=2),
)
steps = st.lists(st.tuples(st.lists(events, max_size=25), st.integers(0, 30)), min_size=1, max_size=3)
groupings = st.none() | st.lists(st.sampled_from([*KEYS, "nobody", "\0"]), unique=True).flatmap(
    lambda keys: st.lists(st.integers(0, 3), min_size=len(keys), max_size=len(keys)).map(
        lambda places: [[key for key, at in zip(keys, places, strict=True) if at == place] for place in range(4)]
    )
)
spans = st.builds(
    lambda times, places: EventSpan(
        start=START_US + times[0], end=START_US + times[1], after=places[0], until=places[1], whole=False
    ),
    st.tuples(offsets, offsets).map(sorted),
    st.tuples(st.integers(0, 30), st.integers(0, 80)),
)


class Stores(NamedTuple):
    """Where an engine keeps its stores, and the only one of PostgreSQL."""

    engine: str
    folder: Path
    url: str

    @contextlib.contextmanager
    def fresh(self) -> Iterator[EventStore]:
        """An empty store."""
        url = self.url
        if self.engine == "postgresql":
            empty(url)
        else:
            folder = self.folder / str(next(NUMBERS))
            folder.mkdir()
            url = store_url(self.engine, folder)
        events, catalog = open_stores(url)
        yield events
        events.close()
        catalog.close()


@pytest.fixture(scope="module", params=ENGINES)
def stores(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Stores:
    folder = tmp_path_factory.mktemp("walk")
    return Stores(request.param, folder, store_url(request.param, folder))


@pytest.fixture
def store(stores: Stores) -> Iterator[EventStore]:
    with stores.fresh() as events:
        yield events


def event(minutes: float = 0, who: str | None = KEYS[0], **changes: object) -> UsageEvent:
    plain: dict[str, object] = {
        "source": "test",
        "time": START + timedelta(minutes=minutes),
        "method": "GET",
        "path": "/items/1",
        "route": "/items/{id}",
        "status_code": 200,
        "consumer": who and Consumer(who),
    }
    return UsageEvent(**(plain | changes))  # type: ignore[arg-type]  # built from plain test data


def append(store: EventStore, *events: UsageEvent) -> list[UsageEvent]:
    """Append events, each with an id of its own."""
    named = [replace(one, id=f"{next(NUMBERS)}") for one in events]
    store.append([("test", DecodedBatch(len(named), named, []))])
    return named


def walk(store: EventStore, groups: Groups = None, **changes: object) -> list[tuple[int, StoredEvent]]:
    span: dict[str, object] = {"start": 0, "end": 2**60, "until": 2**40}
    with store.walk(EventSpan(**(span | changes)), groups) as found:  # type: ignore[arg-type]  # plain test data
        return list(found)


def seqs(found: Sequence[tuple[int, StoredEvent]]) -> list[tuple[int, int]]:
    return [(place, one.seq) for place, one in found]


def naive(stored: list[UsageEvent], span: EventSpan, groups: Groups) -> list[tuple[int, str]]:
    """What a walk gives, by the ids of its events; without groups, consumers are told apart by their first event."""
    keys = list(dict.fromkeys(one.consumer.key for one in stored if one.consumer))
    places = {key: at for at, group in enumerate(groups) for key in group} if groups is not None else {}
    found = []
    for seq, one in enumerate(stored, start=1):
        if groups is None:
            place = keys.index(one.consumer.key) + 1 if one.consumer else 0
        elif one.consumer and one.consumer.key in places:
            place = places[one.consumer.key]
        else:
            continue
        if span.start <= one.time_us < span.end and span.after < seq <= span.until:
            found.append((place, one.time_us, seq, one.id))
    return [(place, id_) for place, _, _, id_ in sorted(found)]


def test_groups_come_in_their_order_and_events_by_time_and_place(store: EventStore) -> None:
    append(store, event(5, "b"), event(3, "a"), event(3, "c"), event(1, None), event(3, "a"), event(4, "d"))

    assert seqs(walk(store, [["b"], ["c", "a"], [], ["unknown"]])) == [(0, 1), (1, 2), (1, 3), (1, 5)]
    assert seqs(walk(store, [])) == []
    assert seqs(walk(store, [["unknown"]])) == []


def test_without_groups_everybody_comes_and_nobody_is_the_first(store: EventStore) -> None:
    append(store, event(5, "a"), event(3, "a"), event(4, None))

    (_, first), (one, second), (same, third) = walk(store)
    assert (first.seq, second.seq, third.seq) == (3, 2, 1)
    assert one == same != 0


def test_a_span_is_half_open_in_time_and_ends_with_its_last_place(store: EventStore) -> None:
    append(store, *(event(minutes) for minutes in range(6)))
    minute = 60_000_000

    assert seqs(walk(store, start=START_US + minute, end=START_US + 4 * minute)) == [(1, 2), (1, 3), (1, 4)]
    assert seqs(walk(store, after=2, until=4)) == [(1, 3), (1, 4)]
    assert seqs(walk(store, [KEYS], after=4, until=9)) == [(0, 5), (0, 6)]
    assert seqs(walk(store, [KEYS], start=START_US, end=START_US)) == []


def test_a_whole_event_is_the_one_that_came_and_a_short_one_lacks_its_details(store: EventStore) -> None:
    full = event(
        url="https://x/items/1",
        error=Error("ValueError", "no"),
        exception="no",
        api="shop",
        api_version="v1",
        client=Client(user_agent="curl"),
        request=Request(elapsed_time=0.25, content_length=7, body=Raw(b"1"), body_truncated=True),
        response=Response(first_byte_time=0.125, content_length=9, mimetype="text/plain", body_truncated=True),
        variables=Raw(b'{"tokens":3}'),
    )
    (sent,) = append(store, full)
    plain = append(store, event(1, path="/items/{id}", source="other"))[0]

    whole = [one.event for _, one in walk(store)]
    assert [replace(one, consumer=Consumer(KEYS[0])) for one in whole] == [sent, plain]
    (short, other) = [one.event for _, one in walk(store, whole=False)]
    assert other == plain
    assert short == replace(
        sent,
        url=None,
        error=None,
        exception=None,
        client=Client(),
        request=Request(elapsed_time=0.25),
        response=Response(content_length=9),
        variables=UNSET,
    )


def test_a_walk_sees_one_moment_and_others_read_and_write_meanwhile(store: EventStore) -> None:
    append(store, *(event(minutes) for minutes in range(3)))
    with store.walk(EventSpan(start=0, end=2**60, until=2**40), [KEYS]) as found:
        next(found)
        append(store, event(9))
        store.fold(10)
        assert store.last_seq() == 4
        assert [one.seq for _, one in found] == [2, 3]
    assert len(walk(store)) == 4


def test_who_leaves_early_gives_the_connection_back(store: EventStore) -> None:
    append(store, *(event(minutes) for minutes in range(3)))
    for _ in range(20):
        with store.walk(EventSpan(start=0, end=2**60, until=2**40), [KEYS]) as found:
            assert next(found)[1].seq == 1

    def leave() -> None:
        with store.walk(EventSpan(start=0, end=2**60, until=2**40), None) as found:
            next(found)
            raise ValueError("enough")

    with pytest.raises(ValueError, match="enough"):
        leave()
    assert len(walk(store)) == 3


@pytest.mark.parametrize("few", [0, 20])
def test_more_events_than_are_fetched_at_once_and_more_names_than_are_kept(
    store: EventStore, monkeypatch: pytest.MonkeyPatch, few: int
) -> None:
    for module in (sqlite, postgresql, hours):
        monkeypatch.setattr(module, "ROWS_AT_ONCE", 7)
    monkeypatch.setattr(walking, "FEW", few)
    monkeypatch.setattr(walked, "CACHE_SIZE", 3)
    minutes_of = [minutes for group in range(10) for minutes in range(group, 60, 10)]
    append(store, *(event(minutes, f"who-{minutes % 10}", route=f"/{minutes % 9}") for minutes in minutes_of))
    store.fold(30)

    found = walk(store, [[f"who-{number}"] for number in reversed(range(10))])
    assert [place for place, _ in found] == [at // 6 for at in range(60)]
    for place, one in found:
        minutes = round((one.event.time - START).total_seconds() / 60)
        assert (one.event.consumer, one.event.route) == (Consumer(f"who-{9 - place}"), f"/{minutes % 9}")
        assert minutes % 10 == 9 - place


def test_very_many_groups_are_no_more_than_one_question(store: EventStore) -> None:
    append(store, event(1, "g-0"), event(0, "g-9999"), event(2, "g-5000"), event(3, "g-0"))

    groups = [[f"g-{number}", f"h-{number}", f"i-{number}"] for number in range(10_000)]
    assert seqs(walk(store, groups)) == [(0, 1), (0, 4), (5000, 3), (9999, 2)]


def by_place(found: list[tuple[int, str]]) -> dict[int, list[str]]:
    return {place: [id_ for at, id_ in found if at == place] for place, _ in found}


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(parts=steps, span=spans, groups=groupings, few=st.sampled_from([0, 2, 20]))
def test_any_walk_gives_what_a_naive_look_gives(
    stores: Stores, parts: list[tuple[list[UsageEvent], int]], span: EventSpan, groups: Groups, few: int
) -> None:
    stored: list[UsageEvent] = []
    with stores.fresh() as store, pytest.MonkeyPatch.context() as patch:
        patch.setattr(walking, "FEW", few)
        for some, folded in parts:
            if some:
                stored += append(store, *some)
            store.fold(folded)
        with store.walk(span, groups) as found:
            got = [(place, one.event.id) for place, one in found]
    expected = naive(stored, span, groups)
    assert [place for place, _ in got] == sorted(place for place, _ in got)
    if groups is None:  # consumers have whatever numbers, but nobody's is 0
        assert by_place(got).pop(0, []) == by_place(expected).pop(0, [])
        assert sorted(by_place(got).values()) == sorted(by_place(expected).values())
    else:
        assert got == expected


@pytest.mark.parametrize("engine", DURABLE)
def test_few_consumers_are_looked_for_only_in_the_hours_of_the_roll_ups(engine: str, tmp_path: Path) -> None:
    url = store_url(engine, tmp_path)
    store, catalog = open_stores(url)
    append(store, event(0, "a"), event(90, "a"), event(91, "b"))
    store.fold(3)
    append(store, event(200, "a"))
    run_sql(url, f"DELETE FROM rollup WHERE start >= {START_US + HOUR // 2} AND start < {START_US + 2 * HOUR}")

    assert seqs(walk(store, [["a"]])) == [(0, 1), (0, 4)]
    store.close()
    catalog.close()


@pytest.mark.parametrize("engine", DURABLE)
def test_a_walk_that_fails_is_a_store_error(engine: str, tmp_path: Path) -> None:
    url = store_url(engine, tmp_path)
    store, catalog = open_stores(url)
    append(store, event())
    run_sql(url, "ALTER TABLE route RENAME TO roads")

    with pytest.raises(StoreError):
        walk(store)
    run_sql(url, "ALTER TABLE roads RENAME TO route")
    assert len(walk(store)) == 1
    store.close()
    catalog.close()
