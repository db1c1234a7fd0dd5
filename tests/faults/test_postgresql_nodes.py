"""Law 2 with two nodes on one PostgreSQL, whichever of the three dies, and whenever."""

from __future__ import annotations

import json
import os
import random
import re
import signal
import time
import uuid
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg
import pytest

from support.requirements import require
from support.sender import Sender
from support.served import Served, run_cli
from support.servers.postgresql import postgresql

if TYPE_CHECKING:
    from support.servers.postgresql import PostgreSQL

KILLS, RESTARTS = 10, 3
SENDERS = 2
"""At each node."""
TAKEOVER_SECONDS = 5.0
LEADER = """
    SELECT application_name FROM pg_stat_activity
    WHERE application_name LIKE 'tollkeeper leader %' AND datname = current_database()
"""
PID = re.compile(r"leader (\d+) on ")


@pytest.mark.timeout(180)
def test_two_nodes_lose_and_double_nothing_when_leaders_and_the_database_die() -> None:
    server = postgresql()
    require("a PostgreSQL of our own", server.process)
    url = server.fresh_database()
    nodes = [Served(url), Served(url)]
    token = run_cli("token", "create", "--scope", "ingest", "--store", url).stdout.strip()
    senders = [Sender(node.url, token, seed) for seed, node in enumerate(nodes * SENDERS)]
    moments = random.Random(10)
    for sender in senders:
        sender.start()
    slowest = 0.0
    try:
        for number in range(KILLS):
            time.sleep(moments.uniform(0.05, 0.8))
            slowest = max(slowest, kill_leader(url, nodes))
            if number % 3 == 2:
                restart(server, crash=number > 3)
        for sender in senders:
            sender.end()
        for sender in senders:
            sender.join(30)
            assert not sender.is_alive()
        assert [node.stop() for node in nodes] == [0, 0]
    finally:
        for sender in senders:
            sender.end()
        for node in nodes:
            if node.process.poll() is None:
                node.kill()

    assert slowest < TAKEOVER_SECONDS
    acknowledged = [id_ for sender in senders for id_ in sender.acknowledged]
    assert len(acknowledged) > KILLS
    assert sum(sender.retries for sender in senders) >= KILLS
    with psycopg.connect(url) as connection:
        stored = [str(uuid.UUID(bytes=id_)) for (id_,) in connection.execute("SELECT id FROM event")]
        places = [seq for (seq,) in connection.execute("SELECT seq FROM event ORDER BY seq")]
    assert sorted(stored) == sorted(acknowledged)
    assert places == list(range(1, len(stored) + 1))
    result = run_cli("reconcile", "--json", "--store", url)
    books = json.loads(result.stdout)
    assert result.returncode == 0
    assert books["problems"] == []
    assert books["rolled_up"] == len(acknowledged)


def kill_leader(url: str, nodes: list[Served]) -> float:
    """End the node that leads as a power cut would, and start it again; how long it took the other one to lead."""
    leader = leading(url)
    parent = int(re.findall(r"^PPid:\s+(\d+)$", Path(f"/proc/{leader}/status").read_text(), re.MULTILINE)[0])
    (index,) = (index for index, node in enumerate(nodes) if node.process.pid == parent)
    nodes[index].kill()
    os.kill(leader, signal.SIGKILL)
    killed = time.monotonic()
    while leading(url) == leader:
        time.sleep(0.02)
    taken = time.monotonic() - killed
    nodes[index] = Served(url, nodes[index].port)
    return taken


def leading(url: str) -> int:
    """The process that folds for all."""
    until = time.monotonic() + 20
    while time.monotonic() < until:
        with psycopg.connect(url) as connection:
            names = [name for (name,) in connection.execute(LEADER)]
        if len(names) == 1 and (found := PID.search(names[0])):
            return int(found[1])
        time.sleep(0.05)
    raise AssertionError("No node leads.")


def restart(server: PostgreSQL, *, crash: bool) -> None:
    assert server.process is not None
    if crash:
        server.process.kill()
    else:
        server.process.stop()
    server.process.start()


@pytest.mark.timeout(60)
def test_a_node_that_stops_hands_over_at_once() -> None:
    url = postgresql().fresh_database()
    nodes = [Served(url), Served(url)]
    try:
        first = leading(url)
        parent = int(re.findall(r"^PPid:\s+(\d+)$", Path(f"/proc/{first}/status").read_text(), re.MULTILINE)[0])
        (leader,) = (node for node in nodes if node.process.pid == parent)
        assert leader.stop() == 0
        assert leading(url) != first
    finally:
        for node in nodes:
            if node.process.poll() is None:
                node.stop()
