"""A report that is sent again is counted once, whatever became of its answer."""

from __future__ import annotations

import json
import random
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import httpx
import pytest

from support import dying_node
from support.served import Served, environment, run_cli
from support.servers.postgresql import postgresql
from support.servers.process import free_port
from support.stores import DURABLE, store_url
from tollkeeper.billing.failure import ApiError
from tollkeeper.service.bootstrap import open_service
from tollkeeper.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Iterator

KEY = "the-key-of-acme-0001"
HEADERS = {"apiKey": KEY}
REPORT = {
    "apiName": "orders",
    "apiversion": "v1",
    "endPointName": "/orders",
    "clientIPAdress": "203.0.113.7",
    "timeTakenInMilliSeconds": 12,
}
FAILED = {"httpStatusCode": 500, "errorCode": "E17", "errorDescription": "The warehouse is closed."}
DROPS, SENDERS, REPORTS = 30, 4, 25


def report(number: int) -> dict[str, Any]:
    """Every second one is an error."""
    return REPORT | {"id": f"r{number}"} | (FAILED if number % 2 else {"httpStatusCode": 200})


def counted(url: str) -> tuple[int, int]:
    """The events and the errors that are in a store, whose books must be right."""
    run_cli("reconcile", "--store", url)
    service = open_service(Settings(store=url), make=False)
    try:
        (books,) = service.events.ledger(recount=True)
        with service.catalog.reading() as records:
            errors = records.find(ApiError, is_internal=False)
        assert books.present == books.stored
        assert len({error.event_id for error in errors}) == len(errors)
        return books.stored, len(errors)
    finally:
        service.close()


def send(url: str, number: int) -> int:
    """Send a report until it is acknowledged; how often."""
    for attempt in range(1, 1_000):
        try:
            answer = httpx.post(f"{url}/v1/usage", json=report(number), headers=HEADERS, timeout=5)
        except httpx.HTTPError:
            time.sleep(0.02)
            continue
        if answer.status_code == httpx.codes.ACCEPTED:
            assert answer.json() == {"id": f"r{number}", "status": "recorded"}
            return attempt
        assert answer.status_code == httpx.codes.SERVICE_UNAVAILABLE, answer.text
    raise AssertionError("The report was never acknowledged.")


@pytest.fixture(params=DURABLE)
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return store_url(request.param, tmp_path)


@pytest.fixture
def node(url: str) -> Iterator[Served]:
    node = Served(url)
    yield node
    if node.process.poll() is None:
        node.stop()


@pytest.mark.timeout(60)
def test_a_report_whose_answers_are_dropped_is_counted_once(url: str, node: Served) -> None:
    moments = random.Random(3)
    address = urlsplit(node.url)
    for number in range(DROPS):
        body = json.dumps(report(number)).encode()
        head = f"POST /v1/usage HTTP/1.1\r\nHost: x\r\napiKey: {KEY}\r\nContent-Length: {len(body)}\r\n\r\n"
        for _ in range(3):
            with socket.create_connection((address.hostname or "", address.port or 0), timeout=5) as client:
                client.sendall(head.encode() + body)
                time.sleep(moments.uniform(0, 0.02))
        send(node.url, number)
    assert node.stop() == 0
    assert counted(url) == (DROPS, DROPS // 2)


@pytest.mark.timeout(60)
@pytest.mark.parametrize("when", ["before", "after"])
def test_kill_9_around_the_commit_loses_and_doubles_nothing(url: str, when: str) -> None:
    port = free_port()
    command = [sys.executable, "-W", "error", dying_node.__file__, url, when, str(port)]
    paths = {"PYTHONPATH": str(Path(dying_node.__file__).parents[1])}
    with subprocess.Popen(command, env=environment() | paths) as process:
        sender = threading.Thread(target=send, args=(f"http://127.0.0.1:{port}", 1))
        sender.start()
        assert process.wait(30) == -9
        assert counted_after_death(url) == ((1, 1) if when == "after" else (0, 1))
        node = Served(url, port)
    sender.join(30)
    assert not sender.is_alive()
    assert node.stop() == 0
    assert counted(url) == (1, 1)


def counted_after_death(url: str) -> tuple[int, int]:
    service = open_service(Settings(store=url), make=False)
    try:
        with service.catalog.reading() as records:
            errors = records.find(ApiError, is_internal=False)
        return sum(row.stored for row in service.events.ledger(recount=False)), len(errors)
    finally:
        service.close()


@pytest.mark.timeout(60)
def test_two_nodes_that_get_the_same_reports_at_once_count_each_once() -> None:
    url = postgresql().fresh_database()
    nodes = [Served(url), Served(url)]
    urls = [node.url for node in nodes]
    attempts: list[int] = []
    start = threading.Barrier(2 * SENDERS)

    def send_all(place: int) -> None:
        start.wait(10)
        first = place // 4 * REPORTS
        attempts.extend(send(urls[place % 2], number) for number in range(first, first + REPORTS))

    senders = [threading.Thread(target=send_all, args=(place,)) for place in range(2 * SENDERS)]
    for sender in senders:
        sender.start()
    time.sleep(0.3)
    nodes[0].kill()
    nodes[0] = Served(url, nodes[0].port)
    for sender in senders:
        sender.join(45)
        assert not sender.is_alive()
    assert [node.stop() for node in nodes] == [0, 0]
    assert sum(attempts) > len(attempts) == 2 * SENDERS * REPORTS
    assert counted(url) == (2 * REPORTS, REPORTS)
