"""Every use of a tag counts, and counts once: with many callers, several workers, and a kill -9 among them."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path

import httpx
import pytest

from support.served import Served, run_cli
from support.stores import DURABLE, store_url

CALLS = 400
CALLERS = 40
WORKERS = 3
UPDATE = "/update?tag=page1"


@pytest.fixture(params=DURABLE)
def store(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return store_url(request.param, tmp_path)


def client_of(service: Served, secret: str) -> httpx.AsyncClient:
    limits = httpx.Limits(max_connections=CALLS, max_keepalive_connections=0)
    return httpx.AsyncClient(
        base_url=service.url, limits=limits, timeout=30, headers={"Authorization": f"Bearer {secret}"}
    )


async def history(client: httpx.AsyncClient) -> list[int]:
    """The numbers of all uses, page by page."""
    found: list[int] = []
    address: str | None = "/history?tag=page1&limit=300"
    while address is not None:
        page = await client.get(address)
        found += [int(n) for n in page.json()]
        address = f"/history{page.links['next']['url']}" if "next" in page.links else None
    return found


def kill_all(service: Served) -> None:
    """End the service with all of its processes, as a power cut would."""
    mine = [
        int(status.parent.name)
        for status in Path("/proc").glob("[0-9]*/status")
        if f"\nPPid:\t{service.process.pid}\n" in read(status)
    ]
    assert len(mine) >= WORKERS
    service.kill()
    for process in mine:
        os.kill(process, signal.SIGKILL)


def read(status: Path) -> str:
    try:
        return status.read_text(encoding="utf-8")
    except OSError:  # it has ended meanwhile
        return ""


class Callers:
    """What became of the calls of all who call at once."""

    def __init__(self) -> None:
        self.answered: list[int] = []
        self.unanswered = 0
        self.milestones = {CALLS * quarter // 4: asyncio.Event() for quarter in (1, 2, 3)}

    async def run(self, client: httpx.AsyncClient) -> None:
        """Do a share of the calls, one after the other."""
        for _ in range(CALLS // CALLERS):
            answered = False
            while not answered:
                answered = await self._call(client)

    async def _call(self, client: httpx.AsyncClient) -> bool:
        try:
            answer = await client.get(UPDATE)
        except httpx.TransportError as error:
            self.unanswered += not isinstance(error, httpx.ConnectError)  # it may have been counted or not
            await asyncio.sleep(0.05)
            return False
        assert answer.status_code == 200, answer.text
        self.answered.append(int(answer.text))
        if milestone := self.milestones.get(len(self.answered)):
            milestone.set()
        return True


@pytest.mark.timeout(120)
def test_400_concurrent_updates_count_400_and_leave_400_history_entries(store: str) -> None:
    service = Served(store, workers=WORKERS)
    secret = run_cli("token", "create", "--scope", "admin", "--store", store).stdout.strip()

    async def run() -> None:
        async with client_of(service, secret) as client:
            assert (await client.get("/create?tag=page1")).status_code == 200
            answers = await asyncio.gather(*(client.get(UPDATE) for _ in range(CALLS)))
            assert {answer.status_code for answer in answers} == {200}
            assert sorted(int(answer.text) for answer in answers) == [*range(1, CALLS + 1)]
            assert (await client.get("/get?tag=page1")).text == str(CALLS)
            assert await history(client) == [*range(1, CALLS + 1)]

    try:
        asyncio.run(run())
        assert service.stop() == 0
    finally:
        if service.process.poll() is None:
            kill_all(service)


@pytest.mark.timeout(180)
def test_what_was_answered_is_counted_and_nothing_twice_when_all_dies_in_the_middle(store: str) -> None:
    services = [Served(store, workers=WORKERS)]
    secret = run_cli("token", "create", "--scope", "admin", "--store", store).stdout.strip()
    callers = Callers()

    async def kill() -> None:
        for milestone in callers.milestones.values():
            await milestone.wait()
            kill_all(services[-1])
            services.append(await asyncio.to_thread(Served, store, services[0].port, workers=WORKERS))

    async def run() -> None:
        async with client_of(services[0], secret) as client:
            assert (await client.get("/create?tag=page1")).status_code == 200
            await asyncio.gather(kill(), *(callers.run(client) for _ in range(CALLERS)))
            count = int((await client.get("/get?tag=page1")).text)
            assert await history(client) == [*range(1, count + 1)]
            assert len(set(callers.answered)) == len(callers.answered) == CALLS
            assert max(callers.answered) <= count <= CALLS + callers.unanswered

    try:
        asyncio.run(run())
        assert len(services) == 1 + len(callers.milestones)
        assert services[-1].stop() == 0
    finally:
        if services[-1].process.poll() is None:
            kill_all(services[-1])
    assert callers.unanswered > 0
