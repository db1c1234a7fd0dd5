"""Nothing is counted twice and nothing is left out, whenever the leader dies, and also when there are two of them."""

from __future__ import annotations

import multiprocessing
import os
import random
import signal
import time
from collections import Counter as Sums
from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING

import pytest

from support.limited import START, called, report, sell, used
from support.stores import DURABLE, store_url
from tollkeeper.events.timestamps import to_microseconds
from tollkeeper.metering.usage import Filters
from tollkeeper.service.bootstrap import Service, open_service
from tollkeeper.service.quota_folding import QuotaFolder
from tollkeeper.service.rollups import FoldingProcess
from tollkeeper.settings import Settings
from tollkeeper.store.quotas.sql import SQLQuotaBook

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tollkeeper.events.event import UsageEvent

KILLS = 4
LIMITS = ({"limit": 10, "period": "day"}, {"limit": 10, "period": "month"})


@pytest.fixture(params=DURABLE)
def service(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Service]:
    service = open_service(Settings(store=store_url(request.param, tmp_path)))
    yield service
    service.close()


def die(url: str, when: str) -> None:
    """Fold, and die by a kill -9: after the counters were written, before or after the commit."""
    service = open_service(Settings(store=url))
    move = SQLQuotaBook.move

    def dying(book: SQLQuotaBook, seq: int) -> None:
        move(book, seq)
        os.kill(os.getpid(), signal.SIGKILL)

    if when == "before":
        SQLQuotaBook.move = dying  # type: ignore[assignment, method-assign]  # dies with the process
    QuotaFolder(service.events, service.catalog, service.quotas).fold(1_000)
    os.kill(os.getpid(), signal.SIGKILL)


def recounted(service: Service, *names: str) -> dict[str, int]:
    """What each counter must hold, event by event."""
    found: Sums[str] = Sums()
    for stored in service.events.page(Filters(), before=None, after=None, limit=1_000_000):
        event = stored.event
        day = event.time.replace(hour=0, minute=0, second=0, microsecond=0)
        for name in names:
            if event.consumer == called(event.time, name=name).consumer and not event.gated:
                found[f"sub_{name}|all day|{to_microseconds(day)}"] += int(event.units)
                found[f"sub_{name}|all month|{to_microseconds(day.replace(day=1))}"] += int(event.units)
    return dict(found)


@pytest.mark.timeout(60)
@pytest.mark.parametrize("when", ["before", "after"])
def test_a_leader_that_dies_at_its_commit_has_counted_all_or_nothing(service: Service, when: str) -> None:
    sell(service, *LIMITS)
    report(service, [called(START + timedelta(hours=hour)) for hour in range(100)])
    process = multiprocessing.get_context("spawn").Process(target=die, args=(service.settings.store, when))
    process.start()
    process.join(50)
    assert process.exitcode == -signal.SIGKILL

    expected = recounted(service, "acme")
    assert used(service, "sub_acme") == ({} if when == "before" else expected)
    QuotaFolder(service.events, service.catalog, service.quotas).fold(1_000)
    assert used(service, "sub_acme") == expected


@pytest.mark.timeout(180)
def test_two_leaders_that_are_killed_again_and_again_count_each_event_once(service: Service) -> None:
    names = ("acme", "umbrella", "wayne")
    for name in names:
        sell(service, *LIMITS, name=name)
    chance = random.Random(4)
    leaders = [FoldingProcess(service.settings) for _ in range(2)]
    try:
        for _ in range(KILLS):
            deadline = time.monotonic() + chance.uniform(1.0, 2.0)
            while time.monotonic() < deadline:
                report(service, [any_call(chance, names) for _ in range(50)])
                time.sleep(0.01)
            killed = chance.choice(leaders).process_id
            if killed is not None:
                os.kill(killed, signal.SIGKILL)
        deadline = time.monotonic() + 60
        while (position := _position(service)) != service.events.last_seq():
            assert time.monotonic() < deadline, position
            time.sleep(0.1)
    finally:
        for leader in leaders:
            leader.stop()

    assert used(service, *(f"sub_{name}" for name in names)) == recounted(service, *names)


def any_call(chance: random.Random, names: tuple[str, ...]) -> UsageEvent:
    at = START + timedelta(seconds=chance.randrange(40 * 86_400))
    return called(at, name=chance.choice(names), units=Decimal(chance.randrange(4)), gated=chance.random() < 0.2)


def _position(service: Service) -> int:
    with service.quotas.reading() as book:
        return book.position()
