from __future__ import annotations

import os
import signal
import time
from typing import TYPE_CHECKING

import pytest

from tollkeeper.errors import StoreError
from tollkeeper.events.codec import DecodedBatch
from tollkeeper.events.event import UsageEvent
from tollkeeper.events.ids import new_id
from tollkeeper.events.timestamps import EPOCH
from tollkeeper.service import rollups
from tollkeeper.service.bootstrap import Service, open_service
from tollkeeper.service.rollups import FoldingProcess, fold_all, start_folding_thread
from tollkeeper.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    service = open_service(Settings(store=f"sqlite:///{tmp_path}/store.db"))
    yield service
    service.close()


def append(service: Service, count: int) -> None:
    events = [
        UsageEvent(id=new_id(), source="test", time=EPOCH, method="GET", path=f"/{number}", status_code=200)
        for number in range(count)
    ]
    service.events.append([("test", DecodedBatch(count, events, []))])


def until(condition: Callable[[], bool], seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_fold_all_leaves_nothing_behind(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rollups, "FOLD_EVENTS", 7)
    append(service, 30)

    assert fold_all(service.events) == 30
    assert service.events.backlog() == 0


def test_the_thread_keeps_up_and_survives_a_store_that_fails(
    service: Service, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(rollups, "IDLE_SECONDS", 0.01)
    fold = service.events.fold
    failures = iter([StoreError("busy"), StoreError("busy")])

    def failing(limit: int) -> int:
        for error in failures:
            raise error
        return fold(limit)

    monkeypatch.setattr(service.events, "fold", failing)
    append(service, 30)
    stop = start_folding_thread(service.events)
    until(lambda: service.events.backlog() == 0)
    stop()

    assert "Roll-ups are late" in caplog.text


@pytest.mark.timeout(60)
def test_the_process_folds_and_is_started_again_when_it_dies(service: Service) -> None:
    folding = FoldingProcess(service.settings)
    try:
        append(service, 10)
        until(lambda: service.events.backlog() == 0)
        first = folding.process_id
        assert first is not None
        os.kill(first, signal.SIGKILL)
        append(service, 10)
        until(lambda: service.events.backlog() == 0)
        assert folding.process_id not in {None, first}
    finally:
        folding.stop()
    assert folding.process_id is None


@pytest.mark.timeout(60)
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_process_ends_by_its_parents_word_and_closes_the_store(tmp_path: Path, number: signal.Signals) -> None:
    service = open_service(Settings(store=f"sqlite:///{tmp_path}/store.db"))
    folding = FoldingProcess(service.settings)
    try:
        append(service, 10)
        until(lambda: service.events.backlog() == 0)
        first = folding.process_id
        assert first is not None
        os.kill(first, number)
        append(service, 10)
        until(lambda: service.events.backlog() == 0)
        assert folding.process_id == first
    finally:
        service.close()
        folding.stop()
    assert [path.name for path in tmp_path.iterdir()] == ["store.db"]
