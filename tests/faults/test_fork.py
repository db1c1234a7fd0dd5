"""A process that forks in the middle of its work: SQLite's locks do not pass to a child, so nothing relies on them."""

from __future__ import annotations

import os
import threading
import time
from typing import TYPE_CHECKING

import pytest

from support.served import run_cli
from tollkeeper.events.codec import DecodedBatch
from tollkeeper.events.event import UsageEvent
from tollkeeper.events.ids import new_id
from tollkeeper.events.timestamps import EPOCH
from tollkeeper.service.bootstrap import Service, open_service
from tollkeeper.service.reconcile import reconcile
from tollkeeper.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def append(service: Service, count: int) -> int:
    events = [
        UsageEvent(id=new_id(), source="fork", time=EPOCH, method="GET", path="/", status_code=200)
        for _ in range(count)
    ]
    return service.events.append([("fork", DecodedBatch(count, events, []))])[0].stored


def forked(work: Callable[[Service], bool], service: Service) -> int:
    """Run ``work(service)`` in a child, and give its exit code."""
    child = os.fork()
    if not child:
        code = 1
        try:
            code = 0 if work(service) else 1
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


@pytest.mark.timeout(120)
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_child_writes_for_itself_and_nothing_is_lost_when_the_file_is_opened_elsewhere(tmp_path: Path) -> None:
    store = f"sqlite:///{tmp_path}/store.db"
    service = open_service(Settings(store=store))
    assert append(service, 20) == 20
    assert len(service.catalog.tokens()) == 0

    def work(inherited: Service) -> bool:
        if append(inherited, 10) != 10:
            return False
        # A third process opens and closes the file: without a lock of ours, it would take the log for its own.
        run_cli("usage", "--store", store)
        return append(inherited, 10) == 10

    assert forked(work, service) == 0
    assert append(service, 20) == 20
    service.close()
    again = open_service(Settings(store=store))
    result = reconcile(again.events)
    assert (sum(row.present or 0 for row in result.books), result.problems) == (60, [])
    again.close()


@pytest.mark.timeout(120)
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_forks_under_load_lose_nothing_on_either_side(tmp_path: Path) -> None:
    service = open_service(Settings(store=f"sqlite:///{tmp_path}/store.db"))
    stored, ending = [0], threading.Event()

    def load() -> None:
        while not ending.is_set():
            stored[0] += append(service, 5)

    thread = threading.Thread(target=load)
    thread.start()
    try:
        for _ in range(5):
            time.sleep(0.05)
            assert forked(lambda inherited: append(inherited, 7) == 7, service) == 0
    finally:
        ending.set()
        thread.join()
    (row,) = service.events.ledger(recount=True)
    assert row.present == row.stored == stored[0] + 5 * 7
    assert reconcile(service.events).problems == []
    service.close()
