"""A process that forks in the middle of its work: SQLite's locks do not pass to a child, so nothing relies on them.

Nor do those that SQLite has within a process: what another thread holds at the fork, the child would await for ever.
"""

from __future__ import annotations

import contextlib
import threading
import time
from typing import TYPE_CHECKING

import pytest

from support.children import in_child
from support.served import run_cli
from tollkeeper.errors import StoreError
from tollkeeper.events.codec import DecodedBatch
from tollkeeper.events.event import UsageEvent
from tollkeeper.events.ids import new_id
from tollkeeper.events.timestamps import EPOCH
from tollkeeper.service.bootstrap import Service, open_service
from tollkeeper.service.reconcile import reconcile
from tollkeeper.settings import Settings
from tollkeeper.store.sql import gate

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


def append(service: Service, count: int) -> int:
    events = [
        UsageEvent(id=new_id(), source="fork", time=EPOCH, method="GET", path="/", status_code=200)
        for _ in range(count)
    ]
    return service.events.append([("fork", DecodedBatch(count, events, []))])[0].stored


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

    assert in_child(lambda: work(service)) == 0
    assert append(service, 20) == 20
    service.close()
    again = open_service(Settings(store=store))
    result = reconcile(again.events)
    assert (sum(row.present or 0 for row in result.books), result.problems) == (60, [])
    again.close()


@contextlib.contextmanager
def kept_busy(work: Callable[[], object]) -> Iterator[None]:
    """Call ``work`` again and again in another thread, while the block runs."""
    ending = threading.Event()

    def load() -> None:
        while not ending.is_set():
            work()

    thread = threading.Thread(target=load)
    thread.start()
    try:
        yield
    finally:
        ending.set()
        thread.join()


@pytest.mark.timeout(120)
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_forks_under_load_lose_nothing_on_either_side(tmp_path: Path) -> None:
    service = open_service(Settings(store=f"sqlite:///{tmp_path}/store.db"))
    other = open_service(Settings(store=f"sqlite:///{tmp_path}/other.db"))
    stored = [0]

    def load() -> None:
        stored[0] += append(service, 5)

    with kept_busy(load), kept_busy(other.catalog.tokens), kept_busy(service.catalog.tokens):
        for _ in range(30):  # with no gate before the catalogue, one in seven children hung
            time.sleep(0.01)
            assert in_child(lambda: append(service, 7) == 7) == 0
    (row,) = service.events.ledger(recount=True)
    assert row.present == row.stored == stored[0] + 30 * 7
    assert reconcile(service.events).problems == []
    service.close()
    other.close()


@pytest.mark.timeout(120)
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_fork_waits_for_who_begins_one_transaction_within_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gate, "FORK_SECONDS", 60.0)  # to wait in vain would take longer than the test may
    service = open_service(Settings(store=f"sqlite:///{tmp_path}/store.db"))

    def nested() -> None:
        with service.catalog.reading():
            time.sleep(0.02)
            service.events.last_seq()

    with kept_busy(nested):
        for _ in range(5):
            assert in_child(lambda: append(service, 7) == 7) == 0
    service.close()


@pytest.mark.timeout(120)
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_child_of_a_fork_amid_a_long_transaction_is_refused_and_the_parent_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gate, "FORK_SECONDS", 0.1)
    service = open_service(Settings(store=f"sqlite:///{tmp_path}/store.db"))
    reading, ending = threading.Event(), threading.Event()

    def long() -> None:
        with service.catalog.reading():
            reading.set()
            ending.wait(60)

    def refused(inherited: Service) -> bool:
        tries: list[Callable[[], object]] = [
            lambda: append(inherited, 1),
            inherited.catalog.tokens,
            lambda: open_service(Settings(store=f"sqlite:///{tmp_path}/new.db")),
        ]
        for attempt in tries:
            with pytest.raises(StoreError, match="forked while its parent was in the middle of a transaction"):
                attempt()
        return True

    thread = threading.Thread(target=long)
    thread.start()
    assert reading.wait(60)
    assert in_child(lambda: refused(service)) == 0
    assert append(service, 5) == 5
    ending.set()
    thread.join()
    assert in_child(lambda: append(service, 7) == 7) == 0
    assert reconcile(service.events).problems == []
    service.close()
