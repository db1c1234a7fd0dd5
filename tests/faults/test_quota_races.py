"""A quota is not passed by a single unit, by several processes on one store, of which some are killed."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from support import quota_racer
from support.gated import UNIT, Client, Gated
from support.quota_racer import used_of_leases
from support.stores import DURABLE, store_url
from tollkeeper.events.lease import LeaseRequest, Settle
from tollkeeper.service.bootstrap import open_service
from tollkeeper.service.gate import GateCall
from tollkeeper.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

QUOTA = 2_000
RACERS = 4
KILLS = 6
SECONDS = 60.0
ROOM, ROUNDS = 100, 30


class Race:
    """Processes that use up the quota of one client; each that dies is replaced by one that writes to another file."""

    def __init__(self, store: str, folder: Path, kind: str) -> None:
        self.gated = Gated(store, lease_seconds=1.0)
        self.gated.now = time.time_ns() // 1_000
        self.client: Client = self.gated.client(limits=[{"limit": QUOTA, "period": "year"}])
        self._command = [sys.executable, "-W", "error", quota_racer.__file__, store, self.client.secret]
        self._folder = folder
        self._kind = kind
        self.racers: list[subprocess.Popen[bytes]] = []
        self.books: list[Path] = []
        for _ in range(RACERS):
            self.start()

    def start(self) -> None:
        """Let one more take part."""
        book = self._folder / f"racer-{len(self.books)}"
        book.touch()
        self.books.append(book)
        paths = {"PYTHONPATH": str(Path(quota_racer.__file__).parents[1])}
        self.racers.append(subprocess.Popen([*self._command, str(book), self._kind], env=paths))

    def kill(self, racer: subprocess.Popen[bytes]) -> None:
        """End one as a power cut would."""
        racer.send_signal(signal.SIGKILL)
        racer.wait(10)

    def finish(self) -> None:
        """Wait for those who run."""
        for racer in self.racers:
            racer.wait(SECONDS)
            assert racer.returncode in {0, -signal.SIGKILL}

    def close(self) -> None:
        """Leave nothing behind."""
        for racer in self.racers:
            if racer.poll() is None:
                self.kill(racer)
        self.gated.close()

    def admitted(self) -> int:
        """How many calls the racers were admitted, as far as they wrote it down."""
        return sum(int(line) for book in self.books for line in book.read_text(encoding="utf-8").split())


@pytest.fixture(params=DURABLE)
def store(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return store_url(request.param, tmp_path)


def racing(store: str, folder: Path, kind: str) -> Iterator[Race]:
    """A race that is closed in any case."""
    race = Race(store, folder, kind)
    try:
        yield race
    finally:
        race.close()


@pytest.fixture
def calls(store: str, tmp_path: Path) -> Iterator[Race]:
    yield from racing(store, tmp_path, "calls")


@pytest.fixture
def leases(store: str, tmp_path: Path) -> Iterator[Race]:
    yield from racing(store, tmp_path, "leases")


@pytest.mark.timeout(120)
def test_processes_that_race_are_admitted_to_the_quota_exactly(calls: Race) -> None:
    calls.finish()
    assert calls.admitted() == QUOTA
    assert sum(bool(book.read_text(encoding="utf-8")) for book in calls.books) > 1
    assert calls.gated.counted(calls.client) == (QUOTA, 0)


@pytest.mark.timeout(120)
def test_calls_are_never_more_than_the_quota_when_processes_are_killed(calls: Race) -> None:
    kill_some(calls)
    calls.finish()
    assert len(calls.books) > RACERS + 3
    # What was counted and never answered is used up, unheard.
    assert QUOTA // 2 < calls.admitted() <= QUOTA
    assert calls.gated.counted(calls.client) == (QUOTA, 0)


@pytest.mark.timeout(120)
def test_leases_are_never_more_than_the_quota_and_all_of_it_in_the_end(leases: Race) -> None:
    kill_some(leases, settle_for_the_dead)
    leases.finish()
    assert len(leases.books) > RACERS + 3
    used = {lease: units for book in leases.books for lease, units in used_of_leases(book).items()}
    assert sum(used.values()) == QUOTA
    assert leases.gated.counted(leases.client) == (QUOTA, 0)
    assert leases.gated.code(leases.client) == "quota_exceeded"


@pytest.mark.timeout(120)
def test_reservations_that_race_with_their_end_are_never_more_than_the_quota(store: str) -> None:
    gated = Gated(store)
    gated.now = time.time_ns() // 1_000
    client = gated.client(limits=[{"limit": ROOM, "period": "year"}])
    most: list[float] = []
    threads = [threading.Thread(target=reserve, args=(store, client, seed, most)) for seed in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(most) == 3 * ROUNDS
    assert ROOM / 2 < max(most) <= ROOM
    with gated.service.quotas.reading() as book:
        assert len(book.due(2**62, 10_000)) == gated.counted(client)[1]
    gated.close()


def reserve(store: str, client: Client, seed: int, held: list[float]) -> None:
    """On a node of its own, reserve calls, give some of them back, and leave the others to time."""
    service = open_service(Settings(store=store, reservation_seconds=0.3))
    chance = random.Random(seed)
    for _ in range(ROUNDS):
        for decision in service.gate.decide([GateCall(secret=client.secret, reserve=True)] * 10):
            if decision.hold and chance.random() < 0.1:
                service.gate.release(decision.hold)
        with service.quotas.reading() as book:
            (counter,) = book.counters_of([client.subscription], since=0)
            held.append((counter.used + counter.held) / UNIT)
        time.sleep(0.01)
    service.close()


def kill_some(race: Race, after: Callable[[Race, Path], None] | None = None) -> None:
    """Kill one racer after the other while they run, and replace each."""
    moments = random.Random(5)
    for _ in range(KILLS):
        time.sleep(moments.uniform(0.2, 0.5))
        running = [place for place, racer in enumerate(race.racers) if racer.poll() is None]
        if not running:
            break
        place = moments.choice(running)
        race.kill(race.racers[place])
        if after is not None:
            after(race, race.books[place])
        race.start()


def settle_for_the_dead(race: Race, book: Path) -> None:
    """Say for a racer what it used of its leases, as the next process in its folder does."""
    settles = [Settle(lease=lease, used=used * UNIT, release=True) for lease, used in used_of_leases(book).items()]
    if settles:
        race.gated.service.gate.exchange(LeaseRequest(settle=settles))
