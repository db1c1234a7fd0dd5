"""The gate is strict over HTTP: however many ask at once, wherever, and whoever dies meanwhile."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import signal
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import pytest

from support.gate_race import KEY, Racer, sell_quota
from support.requirements import require
from support.served import Served, run_cli
from support.servers.postgresql import postgresql
from support.stores import DURABLE, run_sql, store_url
from tollkeeper.billing.subscription import Subscription
from tollkeeper.service.bootstrap import open_service
from tollkeeper.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator, Sequence

    from tollkeeper.billing.counter import Counter
    from tollkeeper.service.bootstrap import Service

CLIENTS = 64
QUOTA, SMALL_QUOTA = 10_000, 1_500
SETTLED_SECONDS = 4.0
"""Until a worker that was killed has a successor, which has settled for it, as a rule."""
SUCCESSOR_SECONDS = 60.0
RESERVATION_SECONDS = 600.0
"""Longer than anything here takes."""
FOLD_SECONDS = 15.0
MICRO = 1_000_000


@contextlib.contextmanager
def nodes(store: str, workers: Sequence[int], **settings: object) -> Iterator[list[Served]]:
    """A node for each number of workers, all on one store."""
    running = [Served(store, workers=number, settings=settings) for number in workers]
    try:
        yield running
    finally:
        for node in running:
            if node.process.poll() is None:
                node.stop()


def admin_token(store: str) -> str:
    return run_cli("token", "create", "--scope", "admin", "--store", store).stdout.strip()


def remaining(node: Served) -> int:
    answer = httpx.post(f"{node.url}/v1/gate/check", json={"key": KEY, "api": "orders", "units": 0}, timeout=10)
    assert answer.status_code == 200, answer.text
    return int(answer.json()["limits"][0]["remaining"])


@pytest.mark.timeout(120)
@pytest.mark.parametrize("engine", DURABLE)
def test_exactly_the_quota_is_admitted(engine: str, tmp_path: Path) -> None:
    store = store_url(engine, tmp_path)
    with nodes(store, [4] if engine == "sqlite" else [2, 2]) as running:
        sell_quota(running[0].url, admin_token(store), QUOTA)
        racers = [Racer([running[number % len(running)].url]) for number in range(CLIENTS)]
        asyncio.run(race(racers, Racer.ask_until_denied))
        assert sum(racer.admitted for racer in racers) == QUOTA
        assert {racer.last[0] for racer in racers} == {429}
        assert [remaining(node) for node in running] == [0] * len(running)


@pytest.mark.timeout(180)
@pytest.mark.parametrize("engine", DURABLE)
def test_whoever_dies_what_is_counted_at_once_is_on_leases_that_others_settle(engine: str, tmp_path: Path) -> None:
    if engine == "postgresql":
        require("a PostgreSQL of our own", postgresql().process)
    store = store_url(engine, tmp_path)
    with nodes(store, [4] if engine == "sqlite" else [2, 2], gate_folder=tmp_path / "gate") as running:
        sell_quota(running[0].url, admin_token(store), QUOTA)
        racers = [Racer([node.url for node in running]) for _ in range(CLIENTS)]
        patiently = partial(Racer.ask_until_denied_for, seconds=SETTLED_SECONDS)
        asyncio.run(race_with_kills(racers, running, QUOTA, patiently))
        assert sum(racer.admitted for racer in racers) <= QUOTA
        asyncio.run(race(racers, patiently))  # who has given up before a node was back
        until = time.monotonic() + SUCCESSOR_SECONDS
        while counted(store).held and time.monotonic() < until:  # a successor takes long to start on a busy machine
            asyncio.run(race(racers, patiently))
        admitted, lost = (sum(getattr(racer, name) for racer in racers) for name in ("admitted", "lost"))
        assert lost > 0, "nobody noticed that anything died"
        assert QUOTA - lost <= admitted <= QUOTA
        assert [remaining(node) for node in running] == [0] * len(running)
        counter = counted(store)
        assert (counter.used, counter.held) == (QUOTA * MICRO, 0)


async def race(racers: Sequence[Racer], run: Callable[[Racer], Awaitable[None]]) -> None:
    await asyncio.gather(*map(run, racers))


@pytest.mark.timeout(180)
@pytest.mark.parametrize("engine", DURABLE)
def test_whoever_dies_no_more_than_the_quota_is_admitted_and_in_the_end_all_of_it(engine: str, tmp_path: Path) -> None:
    if engine == "postgresql":
        require("a PostgreSQL of our own", postgresql().process)
    store = store_url(engine, tmp_path)
    with nodes(store, [4] if engine == "sqlite" else [2, 2], reservation_seconds=RESERVATION_SECONDS) as running:
        sell_quota(running[0].url, admin_token(store), SMALL_QUOTA)
        racers = [Racer([node.url for node in running]) for _ in range(CLIENTS)]
        asyncio.run(race_with_kills(racers, running, SMALL_QUOTA, Racer.call_until_denied))
        first = sum(racer.admitted for racer in racers)
        assert first <= SMALL_QUOTA
        assert sum(racer.lost for racer in racers) > 0, "nobody noticed that anything died"
        counter = counted(store)
        assert (counter.used, counter.used + counter.held) == (first * MICRO, SMALL_QUOTA * MICRO)
        run_sql(store, "UPDATE quota_hold SET expires_at = 1")  # the answer to these calls was lost; as time would do
        until = time.monotonic() + FOLD_SECONDS
        while counted(store).held:  # the leader gives them back
            assert time.monotonic() < until, "what nobody reported does not come back"
            time.sleep(0.1)
        asyncio.run(race(racers, Racer.call_until_denied))
        assert sum(racer.admitted for racer in racers) == SMALL_QUOTA
        counter = counted(store)
        assert (counter.used, counter.held) == (SMALL_QUOTA * MICRO, 0)
        assert [remaining(node) for node in running] == [0] * len(running)


def counted(store: str) -> Counter:
    """The counter of the quota, when everything that was reported is in it."""
    service = open_service(Settings(store=store))
    until = time.monotonic() + FOLD_SECONDS
    try:
        while service.events.last_seq() > position(service):
            assert time.monotonic() < until, "what was reported is not counted"
            time.sleep(0.1)
        with service.catalog.reading() as records, service.quotas.reading() as book:
            (counter,) = book.counters_of([one.id for one in records.find(Subscription)], since=0)
            return counter
    finally:
        service.close()


def position(service: Service) -> int:
    with service.quotas.reading() as book:
        return book.position()


async def race_with_kills(
    racers: Sequence[Racer], running: list[Served], quota: int, run: Callable[[Racer], Awaitable[None]]
) -> None:
    """Kill two workers, and then a node, which is started again."""
    racing = asyncio.create_task(race(racers, run))
    chance = random.Random(5)
    for share, place in ((0.1, 0), (0.3, -1)):
        await until_admitted(racers, share * quota)
        os.kill(chance.choice(workers_of(running[place])), signal.SIGKILL)
    await until_admitted(racers, 0.5 * quota)
    await asyncio.to_thread(restart, running, 0)
    await racing


async def until_admitted(racers: Sequence[Racer], calls: float) -> None:
    deadline = time.monotonic() + 30
    while sum(racer.admitted for racer in racers) < calls:
        assert time.monotonic() < deadline, "the race does not get ahead"
        await asyncio.sleep(0.005)


def restart(running: list[Served], place: int) -> None:
    """End a node as a power cut would, and start it again."""
    old = running[place]
    children = descendants(old.process.pid)
    old.kill()
    for child in children:
        with contextlib.suppress(ProcessLookupError):
            os.kill(child, signal.SIGKILL)
    running[place] = Served(old.store, old.port, workers=old.workers, settings=old.settings)


def workers_of(node: Served) -> list[int]:
    """The processes that answer: those that listen at the node's port."""
    return [child for child in descendants(node.process.pid) if b"spawn_main" in command(child)]


def descendants(process: int) -> list[int]:
    text = "".join(path.read_text() for path in Path(f"/proc/{process}/task").glob("*/children"))
    children = [int(child) for child in text.split()]
    return children + [deeper for child in children for deeper in descendants(child)]


def command(process: int) -> bytes:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{process}/cmdline").read_bytes()
    return b""
