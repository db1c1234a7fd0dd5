from __future__ import annotations

import os
import signal
import time
from multiprocessing import resource_tracker
from typing import TYPE_CHECKING

import pytest

from support.stores import store_url
from tollkeeper.errors import StoreError
from tollkeeper.events.codec import DecodedBatch
from tollkeeper.events.event import UsageEvent
from tollkeeper.events.ids import new_id
from tollkeeper.events.timestamps import EPOCH
from tollkeeper.service import bootstrap, rollups
from tollkeeper.service.beats import start_beats
from tollkeeper.service.bootstrap import Service, open_service
from tollkeeper.service.jobs import list_jobs
from tollkeeper.service.rollups import FoldingProcess, beats_of, fold_all
from tollkeeper.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from multiprocessing.process import BaseProcess
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


def test_the_beats_of_a_leader_fold_count_and_run_what_is_due(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rollups, "IDLE_SECONDS", 0.01)
    append(service, 30)
    end = start_beats(beats_of(service))
    until(lambda: service.events.backlog() == 0)
    until(lambda: position(service) == 30)
    until(lambda: all(job.last_run and job.last_run.state == "done" for job in list_jobs(service)))
    end(10)

    append(service, 1)
    assert (service.events.backlog(), position(service)) == (1, 30)


def position(service: Service) -> int:
    with service.quotas.reading() as book:
        return book.position()


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


@pytest.fixture
def new_tracker(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The tracker of ``multiprocessing`` as a process finds it that has started no other yet."""
    tracker = resource_tracker.ResourceTracker()
    monkeypatch.setattr(resource_tracker, "ensure_running", tracker.ensure_running)
    monkeypatch.setattr(resource_tracker, "getfd", tracker.getfd)
    yield
    tracker._stop()  # type: ignore[attr-defined]  # it ends by itself only with this process


@pytest.mark.timeout(60)
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.usefixtures("new_tracker")
def test_no_signal_ends_the_process_at_whatever_moment_of_its_start(
    service: Service, number: signal.Signals, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    started: list[int] = []
    start = rollups._start_deaf

    def start_and_signal(process: BaseProcess) -> None:
        start(process)
        assert process.pid
        os.kill(process.pid, number)  # it has not run a line of Python yet
        started.append(process.pid)

    monkeypatch.setattr(rollups, "_start_deaf", start_and_signal)
    append(service, 10)
    folding = FoldingProcess(service.settings)
    try:
        until(lambda: bool(started))
        while service.events.backlog():  # each step of its imports, and its first work
            os.kill(started[0], number)
            time.sleep(0.01)
            assert len(started) == 1
    finally:
        folding.stop()
    assert len(started) == 1
    assert capfd.readouterr() == ("", "")


def test_the_process_waits_for_a_store_that_is_away(
    service: Service, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    outcomes: Iterator[StoreError | Service] = iter([StoreError("away"), service, StoreError("away")])

    def opening(_settings: Settings) -> Service:
        outcome = next(outcomes)
        if isinstance(outcome, StoreError):
            raise outcome
        return outcome

    monkeypatch.setattr(bootstrap, "open_service", opening)
    assert rollups._open(service.settings, lambda _: False) is service
    assert rollups._open(service.settings, lambda _: True) is None
    assert "wait for the store: away" in caplog.text


def test_one_of_two_processes_on_a_postgresql_folds_and_the_other_takes_over(tmp_path: Path) -> None:
    service = open_service(Settings(store=store_url("postgresql", tmp_path)))
    first, second = FoldingProcess(service.settings), FoldingProcess(service.settings)
    try:
        for ending in (first, second):
            append(service, 10)
            until(lambda: service.events.backlog() == 0)
            ending.stop()
        append(service, 10)
        assert service.events.backlog() == 10
    finally:
        first.stop()
        second.stop()
        service.close()
