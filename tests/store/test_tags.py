"""The one conformance suite of the port ``Tags``: memory, SQLite and PostgreSQL pass it."""

from __future__ import annotations

import contextlib
import threading
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, NamedTuple

import pytest
import sqlalchemy as sa

from support.stores import DURABLE, ENGINES, store_url
from tollkeeper.errors import ConflictError, StoreError
from tollkeeper.events.timestamps import to_microseconds
from tollkeeper.metering.window import DAY, HOUR, QUARTER
from tollkeeper.store.engines import open_stores
from tollkeeper.store.tags.opening import open_tags
from tollkeeper.store.tags.tag import Tag, TagUse

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tollkeeper.store.protocols import Tags

NOW = datetime(2026, 10, 1, 12, 7, 0, 123456, tzinfo=UTC)
LONG_AGO = datetime(2000, 1, 1, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


@contextlib.contextmanager
def writing(url: str) -> Iterator[sa.Connection]:
    """A transaction past the port."""
    engine = sa.create_engine(url.replace("postgresql:", "postgresql+psycopg:"))
    with engine.begin() as connection:
        yield connection
    engine.dispose()


class Opened(NamedTuple):
    url: str
    tags: Tags


@pytest.fixture(params=ENGINES)
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Opened]:
    url = store_url(request.param, tmp_path)
    for opened in open_stores(url):
        opened.close()
    tags = open_tags(url)
    yield Opened(url, tags)
    tags.close()


@pytest.fixture
def tags(store: Opened) -> Tags:
    return store.tags


def make(tags: Tags, *ids: str) -> None:
    for tag_id in ids:
        tags.create(Tag(id=tag_id, name=f"the {tag_id}", created_at=NOW))


def all_uses(tags: Tags, tag_id: str) -> list[TagUse]:
    return tags.history(tag_id, since=LONG_AGO, after=0, limit=10**6)


def test_a_tag_is_kept_as_it_is(tags: Tags) -> None:
    made = [
        Tag(id=f"tag_{number}", name=name, created_at=NOW)
        for number, name in enumerate(("", "Ü\0\uffff😀", "x" * 9999))
    ]
    for tag in made:
        tags.create(tag)
    assert [tags.get(tag.id) for tag in made] == made
    assert tags.page(after=None, limit=9) == made
    assert tags.get("tag_9") is None


def test_an_id_is_taken_once(tags: Tags) -> None:
    make(tags, "tag_1")
    with pytest.raises(ConflictError):
        make(tags, "tag_1")
    assert len(tags.page(after=None, limit=9)) == 1


def test_each_use_gets_the_next_count_of_its_tag(tags: Tags) -> None:
    make(tags, "tag_1", "tag_2")
    assert tags.use([("tag_1", NOW)]) == [1]
    later = NOW + MINUTE
    assert tags.use([("tag_2", NOW), ("tag_1", NOW), ("none", NOW), ("tag_1", later)]) == [1, 2, None, 3]
    assert tags.use([("none", NOW)]) == [None]
    assert tags.use([]) == []
    assert all_uses(tags, "tag_1") == [TagUse(1, NOW), TagUse(2, NOW), TagUse(3, later)]
    assert all_uses(tags, "tag_2") == [TagUse(1, NOW)]
    assert tags.get("tag_1") == Tag(id="tag_1", name="the tag_1", count=3, created_at=NOW, used_at=later)


def test_tags_are_listed_in_the_order_of_their_making(tags: Tags) -> None:
    make(tags, "tag_b", "tag_c", "tag_a")
    assert [tag.id for tag in tags.page(after=None, limit=2)] == ["tag_b", "tag_c"]
    assert [tag.id for tag in tags.page(after="tag_c", limit=2)] == ["tag_a"]
    assert tags.page(after="tag_a", limit=2) == tags.page(after="none", limit=2) == []


def test_tags_are_ranked_by_their_counts(tags: Tags) -> None:
    make(tags, "tag_a", "tag_b", "tag_c", "tag_d")
    tags.use([("tag_c", NOW), ("tag_c", NOW), ("tag_d", NOW), ("tag_a", NOW)])
    ranked = tags.busiest(after=None, limit=9)
    assert [(tag.id, tag.count) for tag in ranked] == [("tag_c", 2), ("tag_d", 1), ("tag_a", 1), ("tag_b", 0)]
    for place, tag in enumerate(ranked):
        assert tags.busiest(after=(tag.count, tag.id), limit=2) == ranked[place + 1 : place + 3]


def test_the_history_comes_in_pages_and_from_a_time_on(tags: Tags) -> None:
    make(tags, "tag_1")
    tags.use([("tag_1", NOW + number * MINUTE) for number in range(5)])
    assert [use.n for use in tags.history("tag_1", since=LONG_AGO, after=0, limit=2)] == [1, 2]
    assert [use.n for use in tags.history("tag_1", since=LONG_AGO, after=2, limit=9)] == [3, 4, 5]
    assert [use.n for use in tags.history("tag_1", since=NOW + 3 * MINUTE, after=0, limit=9)] == [4, 5]
    assert all_uses(tags, "none") == []


def test_uses_are_counted_by_step(tags: Tags) -> None:
    make(tags, "tag_1", "tag_2", "tag_3")
    start = to_microseconds(NOW) // DAY * DAY
    at = [NOW, NOW + 10 * MINUTE, NOW + 70 * MINUTE, NOW - timedelta(days=1), NOW + timedelta(days=1)]
    tags.use([("tag_1", time) for time in at] + [("tag_2", NOW)])
    tags.use([("tag_1", NOW)])

    def buckets(step: int) -> dict[str, dict[int, int]]:
        found = tags.buckets(["tag_1", "tag_2", "tag_3"], start=start, end=start + DAY, step=step)
        return {
            tag_id: {(at - start) // QUARTER: uses for at, uses in sorted(one.items())} for tag_id, one in found.items()
        }

    assert buckets(QUARTER) == {"tag_1": {48: 2, 49: 1, 53: 1}, "tag_2": {48: 1}}
    assert buckets(HOUR) == {"tag_1": {48: 3, 52: 1}, "tag_2": {48: 1}}
    assert buckets(DAY) == {"tag_1": {0: 4}, "tag_2": {0: 1}}
    assert tags.buckets([], start=start, end=start + DAY, step=DAY) == {}
    assert tags.buckets(["tag_2"], start=start + DAY, end=start + 2 * DAY, step=DAY) == {}


def test_old_uses_are_forgotten_and_counts_are_not(tags: Tags) -> None:
    make(tags, "tag_1", "tag_2")
    old = NOW - timedelta(days=31)
    tags.use([("tag_1", old), ("tag_2", old), ("tag_1", old + MINUTE), ("tag_1", NOW)])
    before = NOW - timedelta(days=30)
    assert [tags.forget(before, 2), tags.forget(before, 2), tags.forget(before, 2)] == [2, 1, 0]
    assert [use.n for use in all_uses(tags, "tag_1")] == [3]
    assert all_uses(tags, "tag_2") == []
    assert [tag.count for tag in tags.page(after=None, limit=9)] == [3, 1]
    assert tags.use([("tag_1", NOW)]) == [4]
    assert tags.buckets(["tag_1", "tag_2"], start=0, end=2**50 // DAY * DAY * 2, step=DAY) == {
        "tag_1": {to_microseconds(NOW) // DAY * DAY: 2}
    }


def test_threads_and_connections_miss_no_count(store: Opened) -> None:
    make(store.tags, "tag_1", "tag_2")
    others = [store.tags if store.url == "memory:" else open_tags(store.url) for _ in range(4)]
    answers: list[int | None] = []

    def count(tags: Tags, order: int) -> None:
        for _ in range(10):
            answers.extend(tags.use([("tag_1", NOW), ("tag_2", NOW)][::order])[::order])

    threads = [threading.Thread(target=count, args=(tags, 1 - 2 * (place % 2))) for place, tags in enumerate(others)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert sorted(count for count in answers if count) == sorted([*range(1, 41)] * 2)
    assert [use.n for use in all_uses(store.tags, "tag_2")] == [*range(1, 41)]
    for tags in others:
        tags.close()


@pytest.mark.parametrize("store", DURABLE, indirect=True)
def test_a_store_that_fails_has_counted_nothing(store: Opened) -> None:
    make(store.tags, "tag_1")
    with writing(store.url) as connection:
        connection.exec_driver_sql("ALTER TABLE tag_quarter RENAME TO gone")
    with pytest.raises(StoreError):
        store.tags.use([("tag_1", NOW)])
    with writing(store.url) as connection:
        connection.exec_driver_sql("ALTER TABLE gone RENAME TO tag_quarter")
    assert store.tags.use([("tag_1", NOW)]) == [1]
