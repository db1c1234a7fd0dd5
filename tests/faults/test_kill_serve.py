"""Law 2: what was acknowledged is durable and counted once, whenever the service dies."""

from __future__ import annotations

import json
import random
import sqlite3
import threading
import time
import uuid
from typing import TYPE_CHECKING

import httpx
import pytest

from support.served import Served, run_cli

if TYPE_CHECKING:
    from pathlib import Path

KILLS = 20
SENDERS = 4


class Sender(threading.Thread):
    """Sends batches, each again until it is acknowledged, and remembers which events were."""

    def __init__(self, url: str, token: str, seed: int) -> None:
        super().__init__(daemon=True)
        self.acknowledged: list[str] = []
        self.retries = 0
        self._random = random.Random(seed)
        self._client = httpx.Client(base_url=url, headers={"Authorization": f"Bearer {token}"}, timeout=5)
        self._ending = threading.Event()

    def run(self) -> None:
        while not self._ending.is_set():
            ids = [str(uuid.uuid4()) for _ in range(self._random.randint(1, 50))]
            self._deliver(ids)
        self._client.close()

    def _deliver(self, ids: list[str]) -> None:
        now = time.time()
        events = [
            {
                "id": id_,
                "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(now - self._random.random() * 1e6)),
                "method": "GET",
                "path": f"/items/{self._random.randint(1, 9)}",
                "status_code": self._random.choice([200, 404, 500]),
                "request": {"elapsed_time": self._random.random()},
                "consumer": {"key": f"c{self._random.randint(1, 50)}"},
            }
            for id_ in ids
        ]
        while True:
            try:
                answer = self._client.post("/v1/events", json=events)
            except httpx.HTTPError:
                self.retries += 1
                time.sleep(0.02)
                continue
            if answer.status_code == httpx.codes.OK:
                receipt = answer.json()
                assert receipt["stored"] + receipt["duplicate"] == len(ids), receipt
                self.acknowledged += ids
                return
            self.retries += 1

    def end(self) -> None:
        self._ending.set()


@pytest.mark.timeout(300)
def test_kill_9_at_random_moments_loses_and_doubles_nothing(tmp_path: Path) -> None:
    store = f"sqlite:///{tmp_path}/store.db"
    service = Served(store)
    token = run_cli("token", "create", "--scope", "ingest", "--store", store).stdout.strip()
    senders = [Sender(service.url, token, seed) for seed in range(SENDERS)]
    moments = random.Random(20)
    for sender in senders:
        sender.start()
    try:
        for _ in range(KILLS):
            time.sleep(moments.uniform(0.05, 1.0))
            service.kill()
            service = Served(store, service.port)
        for sender in senders:
            sender.end()
        for sender in senders:
            sender.join(30)
        assert service.stop() == 0
    finally:
        for sender in senders:
            sender.end()
        if service.process.poll() is None:
            service.kill()

    acknowledged = [id_ for sender in senders for id_ in sender.acknowledged]
    assert len(acknowledged) > KILLS
    assert sum(sender.retries for sender in senders) >= KILLS
    with sqlite3.connect(tmp_path / "store.db") as connection:
        stored = [str(uuid.UUID(bytes=id_)) for (id_,) in connection.execute("SELECT id FROM event")]
    assert len(stored) == len(set(stored))
    assert set(stored) == set(acknowledged)
    result = run_cli("reconcile", "--json", "--store", store)
    books = json.loads(result.stdout)
    assert result.returncode == 0
    assert books["problems"] == []
    assert books["rolled_up"] == len(acknowledged)
