"""The gate in the app: strict among workers that are killed, and as the plan says when the service is away."""

from __future__ import annotations

import contextlib
import http.client
import os
import random
import signal
import sqlite3
import threading
import time
from typing import TYPE_CHECKING

import httpx
import pytest

from support.gate_shop import KEY, sell
from support.hosts import Host, hosted
from support.served import Served, run_cli
from support.threads import Threads

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

APP = """
import os
from flask import Flask
from tollkeeper.flask import Tollkeeper

app = Flask("orders")
keeper = Tollkeeper(app, gate=True, api="orders", on_failure="deny")


@app.get("/orders")
def orders():
    return str(os.getpid())
"""
WORKERS, THREADS, CLIENTS, KILLS = 4, 4, 16, 5
QUOTA = 2_000
LEASE_SECONDS = 2.0
FORGOTTEN_SECONDS = 4.0
"""When the service has given back what a dead worker held, and workers have asked again."""


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Served]:
    store = f"sqlite:///{tmp_path}/store.db"
    running = Served(store, settings={"lease_seconds": LEASE_SECONDS})
    try:
        yield running
    finally:
        if running.process.poll() is None:
            running.process.send_signal(signal.SIGCONT)
            running.stop()


def token(service: Served, scope: str) -> str:
    return run_cli("token", "create", "--scope", scope, "--store", service.store).stdout.strip()


def sell_orders(service: Served, quota: int, on_failure: str) -> None:
    headers = {"Authorization": f"Bearer {token(service, 'admin')}"}
    with httpx.Client(base_url=service.url, headers=headers, timeout=30) as admin:
        sell(admin, limits=[{"limit": quota, "period": "year"}], on_failure=on_failure)


GTHREAD = ("gunicorn", "-k", "gthread", "--threads", str(THREADS), "-w")


@contextlib.contextmanager
def app(
    folder: Path, service: Served, workers: int = 1, *, timeout: float = 1.0, program: tuple[str, ...] = GTHREAD
) -> Iterator[Host]:
    (folder / "app").mkdir(exist_ok=True)
    settings = {
        "TOLLKEEPER_SINK": service.url,
        "TOLLKEEPER_TOKEN": token(service, "ingest"),
        "TOLLKEEPER_GATE_FOLDER": str(folder / "gate"),
        "TOLLKEEPER_SPOOL": str(folder / "spool"),
        "TOLLKEEPER_FLUSH_SECONDS": "0.1",
        "TOLLKEEPER_GATE_TIMEOUT": str(timeout),
    }
    name, *options = program
    loaded = workers if name == "gunicorn" else 1
    with hosted(folder / "app", name, *options, str(workers), app=APP, workers=loaded, more=settings) as host:
        yield host


def call(host: Host) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", host.port, timeout=10)
    try:
        connection.request("GET", "/orders", headers={"X-API-Key": KEY})
        response = connection.getresponse()
        return response.status, response.read()
    finally:
        connection.close()


class Clients(Threads):
    """Threads that call until the end of the block; ``admitted`` counts answers, ``workers`` are the processes."""

    def __init__(self, host: Host) -> None:
        super().__init__(CLIENTS)
        self.admitted = 0
        self.last = time.monotonic()
        self.workers: set[int] = set()
        self.seen: set[int] = set()
        self._host = host
        self._lock = threading.Lock()

    def work(self) -> None:
        while not self.ending.is_set():
            try:
                status, body = call(self._host)
            except (OSError, http.client.HTTPException):  # its worker was killed
                continue
            with self._lock:
                self.seen.add(status)
                if status == httpx.codes.OK:
                    self.admitted += 1
                    self.last = time.monotonic()
                    self.workers.add(int(body))
            if status != httpx.codes.OK:
                self.ending.wait(0.05)


def remaining(service: Served) -> int:
    body = {"key": KEY, "api": "orders", "units": 0}
    answer = httpx.post(f"{service.url}/v1/gate/check", json=body, timeout=10)
    assert answer.status_code in {200, 429}, answer.text
    if answer.status_code != httpx.codes.OK:
        return 0
    return int(answer.json()["limits"][0]["remaining"])


def wait_until_remaining(service: Served, expected: int) -> None:
    until = time.monotonic() + 20
    while (found := remaining(service)) != expected:
        assert time.monotonic() < until, f"{found} remain, not {expected}"
        time.sleep(0.1)


@pytest.mark.timeout(120)
def test_workers_that_are_killed_admit_no_more_than_the_quota_and_all_of_it(service: Served, tmp_path: Path) -> None:
    sell_orders(service, QUOTA, "deny")
    chance, killed = random.Random(7), 0
    with app(tmp_path, service, WORKERS) as host, Clients(host) as clients:
        for _ in range(KILLS):
            time.sleep(0.25)
            if clients.workers:
                victim = chance.choice(sorted(clients.workers))
                clients.workers.discard(victim)
                with contextlib.suppress(ProcessLookupError):
                    os.kill(victim, signal.SIGKILL)
                    killed += 1
        until = time.monotonic() + 60
        while time.monotonic() < clients.last + FORGOTTEN_SECONDS:
            assert time.monotonic() < until, "it does not end"
            time.sleep(0.05)
    assert killed > 1
    assert QUOTA - killed * THREADS <= clients.admitted <= QUOTA
    assert clients.seen <= {200, 429, 503}
    wait_until_remaining(service, 0)


def outcome(host: Host, seconds: float) -> list[int]:
    """The statuses of calls, one after the other, for some time."""
    ending, found = time.monotonic() + seconds, []
    while time.monotonic() < ending:
        found.append(call(host)[0])
        time.sleep(0.01)
    return found


@pytest.mark.timeout(120)
@pytest.mark.parametrize(("policy", "away"), [("deny", 503), ("admit", 200)])
def test_when_the_service_is_away_the_plan_decides_and_the_books_agree_afterwards(
    service: Served, tmp_path: Path, policy: str, away: int
) -> None:
    sell_orders(service, 100_000, policy)
    with app(tmp_path, service, timeout=0.5) as host:
        up = outcome(host, 1.0)
        assert set(up) == {200}
        service.kill()
        down = outcome(host, LEASE_SECONDS + 1)
        assert down[0] == 200, "it works on through an outage"
        assert down[-1] == away
        back = Served(service.store, service.port, settings=service.settings)
        try:
            again = outcome(host, 2.0)
            assert again[-1] == 200
            back.process.send_signal(signal.SIGSTOP)  # it takes connections, and says nothing
            began = time.monotonic()
            slow = outcome(host, LEASE_SECONDS + 1)
            assert slow[0] == 200
            assert slow[-1] == away
            assert len(slow) > 100, f"calls waited: {len(slow)} in {time.monotonic() - began:.1f} s"
            back.process.send_signal(signal.SIGCONT)
            last = outcome(host, 2.0)
            assert last[-1] == 200
            host.stop()
            total = [up, down, again, slow, last]
            wait_until_remaining(back, 100_000 - sum(phase.count(200) for phase in total))
            gated = counted_by_the_gate(back)
        finally:
            if back.process.poll() is None:
                back.process.send_signal(signal.SIGCONT)
                back.stop()
    assert gated > 0
    assert (gated < sum(phase.count(200) for phase in total)) == (policy == "admit")


@pytest.mark.timeout(60)
@pytest.mark.parametrize(
    "program",
    [
        ("gunicorn", "--preload", "-w"),
        ("gunicorn", "-k", "gevent", "-w"),
        ("uwsgi", "--enable-threads", "--workers"),
        ("uwsgi", "--enable-threads", "--lazy-apps", "--workers"),
    ],
    ids=" ".join,
)
def test_workers_that_are_forked_have_leases_of_their_own(
    service: Served, tmp_path: Path, program: tuple[str, ...]
) -> None:
    sell_orders(service, 100, "deny")
    with app(tmp_path, service, 2, program=program) as host:
        found = [call(host) for _ in range(60)]
        assert {status for status, _ in found} == {200}
        with Clients(host) as clients:
            while clients.admitted + 60 < 100 or time.monotonic() < clients.last + 1.5:
                time.sleep(0.05)
    assert clients.admitted + 60 == 100
    wait_until_remaining(service, 0)


def counted_by_the_gate(service: Served) -> int:
    """How many events of admitted calls say that the gate has counted them."""
    path = service.store.removeprefix("sqlite:///")
    with contextlib.closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as connection:
        (count,) = connection.execute("SELECT count(*) FROM event WHERE gated = 1 AND status = 200").fetchone()
    return int(count)
