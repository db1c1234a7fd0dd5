from __future__ import annotations

import asyncio
import threading
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from tollkeeper.errors import NotFoundError, StoreError
from tollkeeper.service import tag_counter
from tollkeeper.service.tag_counter import TagCounter
from tollkeeper.store.tags.memory import MemoryTags
from tollkeeper.store.tags.tag import Tag

if TYPE_CHECKING:
    from collections.abc import Sequence

NOW = datetime.now(UTC)


class Store(MemoryTags):
    """Remembers the groups that were committed; holds each commit until it is let go, or fails with ``trouble``."""

    def __init__(self) -> None:
        super().__init__()
        self.groups: list[int] = []
        self.may_go = threading.Event()
        self.may_go.set()
        self.trouble: Exception | None = None
        self.create(Tag(id="tag_1", name="page1", created_at=NOW))

    def use(self, uses: Sequence[tuple[str, datetime]]) -> list[int | None]:
        self.may_go.wait(10)
        if self.trouble is not None:
            raise self.trouble
        self.groups.append(len(uses))
        return super().use(uses)


@pytest.fixture
def store() -> Store:
    return Store()


def test_what_arrives_during_a_commit_shares_the_next(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tag_counter, "GROUP_USES", 12)

    async def run() -> list[int]:
        counter = TagCounter(store)
        store.may_go.clear()
        tasks = [asyncio.create_task(counter.use("tag_1")) for _ in range(20)]
        await asyncio.sleep(0.05)
        store.may_go.set()
        answers = await asyncio.gather(*tasks)
        counter.close()
        return answers

    assert asyncio.run(run()) == [*range(1, 21)]
    assert store.groups == [1, 12, 7]


def test_an_unknown_tag_fails_alone(store: Store) -> None:
    async def run() -> list[int | BaseException]:
        counter = TagCounter(store)
        uses = [counter.use(tag) for tag in ("tag_1", "tag_2", "tag_1")]
        return await asyncio.gather(*uses, return_exceptions=True)

    first, unknown, second = asyncio.run(run())
    assert (first, second) == (1, 2)
    assert isinstance(unknown, NotFoundError)
    assert "POST /v1/tags" in unknown.detail


@pytest.mark.parametrize("trouble", [StoreError("cannot"), ValueError("a bug")])
def test_a_commit_that_fails_is_not_tried_again(store: Store, trouble: Exception) -> None:
    async def run() -> list[int | BaseException]:
        counter = TagCounter(store)
        store.trouble = trouble
        failed = await asyncio.gather(*(counter.use("tag_1") for _ in range(3)), return_exceptions=True)
        store.trouble = None
        return [*failed, await counter.use("tag_1")]

    *failed, good = asyncio.run(run())
    assert failed == [trouble] * 3
    assert good == 1


def test_who_went_away_is_counted_and_disturbs_nobody(store: Store) -> None:
    async def run() -> int:
        counter = TagCounter(store)
        store.may_go.clear()
        gone = asyncio.create_task(counter.use("tag_1"))
        await asyncio.sleep(0.05)
        gone.cancel()
        store.may_go.set()
        return await counter.use("tag_1")

    assert asyncio.run(run()) == 2


def test_too_many_that_wait_are_refused(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tag_counter, "WAITING_USES", 3)

    async def run() -> list[int | BaseException]:
        counter = TagCounter(store)
        store.may_go.clear()
        tasks = [asyncio.create_task(counter.use("tag_1")) for _ in range(5)]
        await asyncio.sleep(0.05)
        store.may_go.set()
        return await asyncio.gather(*tasks, return_exceptions=True)

    *good, refused = asyncio.run(run())
    assert good == [1, 2, 3, 4]
    assert isinstance(refused, StoreError)
    assert refused.code == "overloaded"
