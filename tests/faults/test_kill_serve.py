"""Law 2: what was acknowledged is durable and counted once, whenever the service dies."""

from __future__ import annotations

import json
import random
import sqlite3
import time
import uuid
from typing import TYPE_CHECKING

import pytest

from support.sender import Sender
from support.served import Served, run_cli

if TYPE_CHECKING:
    from pathlib import Path

KILLS = 20
SENDERS = 4


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
