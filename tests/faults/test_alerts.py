"""An alert that was committed arrives, whenever the service dies; what arrives twice has the same id."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from standardwebhooks.webhooks import Webhook

from support.alerts import add_channel, add_message, add_rule, messages, opened
from support.receiver import Receiver
from support.served import environment
from tollkeeper.service.alerts.delivery import deliver

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from support.receiver import Reply, Taken
    from tollkeeper.service.bootstrap import Service

KILLS = 5
CLAIMED = timedelta(minutes=2)
"""How long what a process claimed is left alone at most, when it was the first try."""
DELIVER = """
import sys
from datetime import UTC, datetime
from tollkeeper.service.alerts.delivery import deliver
from tollkeeper.service.alerts.raising import raise_alert
from tollkeeper.service.bootstrap import open_service
from tollkeeper.settings import Settings

service = open_service(Settings(store=sys.argv[1], webhook_private=True))
number = 0
print("ready", flush=True)
while sys.argv[2] == "raise":
    number += 1
    cause = f"{sys.argv[3]}-{number}"
    with service.catalog.writing() as records:
        raise_alert(records, kind="silence", subject=cause, cause=cause, document={"number": cause})
    print(cause, flush=True)
    deliver(service, datetime.now(UTC))
deliver(service, datetime.now(UTC))
print("noted", flush=True)
"""


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    receiver = Receiver()
    yield receiver
    receiver.stop()


@pytest.fixture
def store(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/store.db"


@pytest.fixture
def service(store: str) -> Iterator[Service]:
    service = opened(store=store)
    yield service
    service.close()


def start(store: str, *arguments: str) -> subprocess.Popen[str]:
    """A process that delivers, and says ``ready`` when it can."""
    command = [sys.executable, "-c", DELIVER, store, *arguments]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment())
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


def kill(process: subprocess.Popen[str]) -> list[str]:
    """End a process as a power cut would; what it had printed."""
    process.send_signal(signal.SIGKILL)
    printed, _ = process.communicate(timeout=10)
    return printed.split()


def soon() -> datetime:
    return datetime.now(UTC) + timedelta(seconds=1)


def test_what_was_delivered_and_not_noted_goes_out_again_with_the_same_id(
    service: Service, store: str, receiver: Receiver
) -> None:
    channel, secret = add_channel(service, address=receiver.url)
    add_message(service, channel)
    doomed: list[int] = []

    def die_while_it_waits_for_the_answer(_taken: Taken) -> Reply:
        while not doomed:
            time.sleep(0.01)
        os.kill(doomed[0], signal.SIGKILL)
        receiver.answer = lambda _: (200, {}, b"")
        return 200, {}, b""

    receiver.answer = die_while_it_waits_for_the_answer
    process = start(store, "once", "-")
    doomed.append(process.pid)
    printed, _ = process.communicate(timeout=20)
    assert (process.returncode, printed) == (-signal.SIGKILL, "")
    assert [(message.state, message.attempts) for message in messages(service)] == [("pending", 1)]
    assert deliver(service, soon()) == 0
    assert deliver(service, soon() + CLAIMED) == 1
    assert deliver(service, soon() + CLAIMED) == 0
    first, second = receiver.requests
    assert first.headers["webhook-id"] == second.headers["webhook-id"] == "msg_1"
    assert first.body == second.body
    for taken in (first, second):
        Webhook(secret).verify(taken.body, dict(taken.headers.items()))


@pytest.mark.timeout(120)
def test_kill_9_at_random_moments_loses_nothing(service: Service, store: str, receiver: Receiver) -> None:
    add_channel(service, address=receiver.url)
    add_rule(service, "silence")
    moments = random.Random(20)
    committed: list[str] = []
    for run in range(KILLS):
        process = start(store, "raise", str(run))
        time.sleep(moments.uniform(0.02, 0.4))
        committed += kill(process)
    while deliver(service, soon() + CLAIMED):
        pass
    held = {message.document["number"]: message for message in messages(service)}
    assert committed
    assert set(committed) <= set(held)
    assert {message.state for message in held.values()} == {"delivered"}
    arrived = Counter(taken.headers["webhook-id"] for taken in receiver.requests)
    assert set(arrived) == {message.id for message in held.values()}
    assert sum(arrived.values()) <= len(held) + KILLS  # twice only where a process died
