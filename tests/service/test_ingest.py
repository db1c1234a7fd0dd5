from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING

import pytest

from tollkeeper.errors import StoreError
from tollkeeper.events.codec import DecodedBatch
from tollkeeper.events.event import UsageEvent
from tollkeeper.events.receipt import Receipt
from tollkeeper.events.timestamps import EPOCH
from tollkeeper.service import ingest
from tollkeeper.service.ingest import GroupCommit

if TYPE_CHECKING:
    from collections.abc import Sequence


def batch(size: int = 1, path: str = "/") -> DecodedBatch:
    event = UsageEvent(time=EPOCH, method="GET", path=path, status_code=200)
    return DecodedBatch(size, [event] * size, [])


class Store:
    """Remembers the groups that were committed; holds each commit until it is let go."""

    def __init__(self) -> None:
        self.groups: list[int] = []
        self.may_go = threading.Event()
        self.may_go.set()

    def append(self, batches: Sequence[tuple[str, DecodedBatch]]) -> list[Receipt]:
        self.may_go.wait(10)
        if any(event.path == "/bad" for _, batch in batches for event in batch.events):
            raise StoreError("cannot")
        self.groups.append(len(batches))
        return [
            Receipt(received=batch.received, stored=batch.received, duplicate=0, rejected=0) for _, batch in batches
        ]


def test_what_arrives_during_a_commit_shares_the_next() -> None:
    store = Store()

    async def run() -> list[Receipt]:
        commits = GroupCommit(store.append)
        store.may_go.clear()
        tasks = [asyncio.create_task(commits.submit("a", batch(number + 1))) for number in range(20)]
        await asyncio.sleep(0.05)
        store.may_go.set()
        receipts = await asyncio.gather(*tasks)
        commits.close()
        return receipts

    assert [receipt.stored for receipt in asyncio.run(run())] == list(range(1, 21))
    assert store.groups == [1, 19]


def test_a_batch_that_is_refused_fails_alone() -> None:
    store = Store()

    async def run() -> list[Receipt | BaseException]:
        commits = GroupCommit(store.append)
        store.may_go.clear()
        paths = ["/", "/", "/bad", "/"]
        tasks = [asyncio.create_task(commits.submit("a", batch(path=path))) for path in paths]
        await asyncio.sleep(0.05)
        store.may_go.set()
        return await asyncio.gather(*tasks, return_exceptions=True)

    outcomes = asyncio.run(run())
    assert [isinstance(outcome, StoreError) for outcome in outcomes] == [False, False, True, False]


def test_too_many_that_wait_are_refused_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ingest, "WAITING_EVENTS", 10)
    store = Store()

    async def run() -> Receipt:
        commits = GroupCommit(store.append)
        store.may_go.clear()
        first = asyncio.create_task(commits.submit("a", batch(10)))
        await asyncio.sleep(0)
        with pytest.raises(StoreError) as refused:
            await commits.submit("a", batch())
        assert refused.value.code == "overloaded"
        store.may_go.set()
        await first
        return await commits.submit("a", batch())

    assert asyncio.run(run()).stored == 1


def test_groups_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ingest, "GROUP_EVENTS", 5)
    store = Store()

    async def run() -> None:
        commits = GroupCommit(store.append)
        store.may_go.clear()
        tasks = [asyncio.create_task(commits.submit("a", batch(2))) for _ in range(6)]
        tasks.append(asyncio.create_task(commits.submit("a", batch(50))))
        await asyncio.sleep(0.05)
        store.may_go.set()
        await asyncio.gather(*tasks)

    asyncio.run(run())
    assert store.groups == [1, 2, 2, 1, 1]


def test_a_sender_that_went_away_harms_nobody() -> None:
    store = Store()

    async def run() -> Receipt:
        commits = GroupCommit(store.append)
        store.may_go.clear()
        gone = asyncio.create_task(commits.submit("a", batch()))
        stays = asyncio.create_task(commits.submit("a", batch()))
        await asyncio.sleep(0.05)
        gone.cancel()
        store.may_go.set()
        return await stays

    assert asyncio.run(run()).stored == 1
    assert sum(store.groups) == 2
