"""Jobs are run when they are due: once, made up for when missed, and again when they died with their process."""

from __future__ import annotations

import multiprocessing
import os
import signal
import socket
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from msgspec.structs import replace

from support.stores import DURABLE, store_url
from tollkeeper.errors import StoreError
from tollkeeper.events.ids import record_id
from tollkeeper.service.bootstrap import Service, open_service
from tollkeeper.service.job_runs import Job, Schedule, run_due, run_now
from tollkeeper.service.scheduler import Scheduler
from tollkeeper.settings import Settings
from tollkeeper.store.operations import JobRun

NOON = datetime(2026, 3, 4, 12, 0, tzinfo=UTC)
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)


class Clock:
    def __init__(self, now: datetime) -> None:
        self.now = now

    def __call__(self) -> datetime:
        return self.now


def noting(times: list[datetime]) -> Job:
    def run(now: datetime) -> str:
        times.append(now)
        return f"{len(times)} done"

    return Job("note", "Note the time.", Schedule(HOUR), run)


def runs(service: Service) -> list[JobRun]:
    with service.catalog.reading() as records:
        return records.find(JobRun)


@pytest.mark.parametrize(
    ("schedule", "latest", "words"),
    [
        (Schedule(MINUTE), datetime(2026, 3, 4, 12, 34, tzinfo=UTC), "every minute"),
        (Schedule(HOUR, 7 * MINUTE), datetime(2026, 3, 4, 12, 7, tzinfo=UTC), "every hour at :07"),
        (Schedule(HOUR, 40 * MINUTE), datetime(2026, 3, 4, 11, 40, tzinfo=UTC), "every hour at :40"),
        (Schedule(DAY, 3 * HOUR + 10 * MINUTE), datetime(2026, 3, 4, 3, 10, tzinfo=UTC), "every day at 03:10 UTC"),
        (Schedule(DAY, 13 * HOUR), datetime(2026, 3, 3, 13, 0, tzinfo=UTC), "every day at 13:00 UTC"),
        (Schedule(15 * MINUTE), datetime(2026, 3, 4, 12, 30, tzinfo=UTC), "every 0:15:00"),
    ],
)
def test_a_schedule_is_of_the_calendar(schedule: Schedule, latest: datetime, words: str) -> None:
    assert schedule.latest(datetime(2026, 3, 4, 12, 34, 56, 789, tzinfo=UTC)) == latest
    assert schedule.latest(latest) == latest
    assert schedule.words() == words


def test_a_job_runs_once_for_each_due_time_and_once_for_all_that_were_missed(service: Service) -> None:
    clock, times = Clock(NOON + MINUTE), list[datetime]()
    scheduler = Scheduler(service.catalog, [noting(times)], clock)
    scheduler.tick()
    clock.now += 10 * MINUTE
    scheduler.tick()
    Scheduler(service.catalog, [noting(times)], clock).tick()
    assert len(times) == 1

    clock.now += 5 * HOUR
    scheduler.tick()
    Scheduler(service.catalog, [noting(times)], clock).tick()
    assert len(times) == 2
    assert [(run.job, run.at, run.state, run.detail) for run in runs(service)] == [
        ("note", NOON, "done", "1 done"),
        ("note", NOON + 5 * HOUR, "done", "2 done"),
    ]
    assert all(run.started_at <= run.finished_at for run in runs(service) if run.finished_at)


@pytest.mark.parametrize("wrong", [StoreError("The store is busy."), ValueError("with a secret")])
def test_a_job_that_fails_says_so_and_the_others_run(
    memory: Service, wrong: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(_now: datetime) -> str:
        raise wrong

    times: list[datetime] = []
    jobs = [Job("fail", "Fail.", Schedule(HOUR), fail), noting(times)]
    Scheduler(memory.catalog, jobs, Clock(NOON)).tick()

    failed, done = sorted(runs(memory), key=lambda run: run.state, reverse=True)
    said = "The store is busy." if isinstance(wrong, StoreError) else "ValueError: the log of the service says more."
    assert (failed.state, failed.detail, done.state) == ("failed", said, "done")
    assert failed.finished_at is not None
    assert "The job fail failed" in caplog.text


def test_what_is_run_by_hand_leaves_the_schedule_alone(memory: Service) -> None:
    times: list[datetime] = []
    first, second = run_now(memory.catalog, noting(times)), run_now(memory.catalog, noting(times))
    Scheduler(memory.catalog, [noting(times)], Clock(NOON)).tick()

    assert (first.state, second.detail) == ("done", "2 done")
    assert len(times) == len(runs(memory)) == 3


def begun(service: Service, at: datetime, detail: str, *, ago: timedelta = timedelta(0)) -> JobRun:
    """A run that somebody began."""
    run = JobRun(id=record_id("run"), job="note", at=at, detail=detail, started_at=datetime.now(UTC) - ago)
    with service.catalog.writing() as records:
        records.add(run)
    return run


def dead_process() -> int:
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait(30)
    return process.pid


def test_a_run_whose_process_died_is_run_again(memory: Service, caplog: pytest.LogCaptureFixture) -> None:
    run = begun(memory, NOON, f"process {dead_process()} on {socket.gethostname()}")
    times: list[datetime] = []
    again = run_due(memory.catalog, noting(times), NOON)

    assert (again.id, again.state, len(times)) == (run.id, "done", 1)
    assert runs(memory) == [again]
    assert "died with its process" in caplog.text


@pytest.mark.parametrize("detail", ["process 1 on another-host", "process {own} on {host}", ""])
def test_who_ran_it_elsewhere_or_in_a_former_life_of_this_process_leads_no_more(memory: Service, detail: str) -> None:
    begun(memory, NOON, detail.format(own=os.getpid(), host=socket.gethostname()))

    assert run_due(memory.catalog, noting([]), NOON).state == "done"


def test_what_another_process_still_does_is_left_to_it_but_not_for_ever(memory: Service) -> None:
    other = f"process {os.getppid()} on {socket.gethostname()}"
    run = begun(memory, NOON, other)
    times: list[datetime] = []
    scheduler = Scheduler(memory.catalog, [noting(times)], Clock(NOON))
    scheduler.tick()
    assert (runs(memory), times) == ([run], [])

    with memory.catalog.writing() as records:
        records.replace(replace(run, detail="process 1 on another-host"))
    scheduler.tick()
    assert len(times) == 1

    begun(memory, NOON + HOUR, other, ago=2 * HOUR)
    assert run_due(memory.catalog, noting([]), NOON + HOUR).state == "done"


def test_a_process_that_may_not_be_asked_lives(memory: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_process: int, _signal: int) -> None:
        raise PermissionError

    begun(memory, NOON, f"process {os.getppid()} on {socket.gethostname()}")
    with monkeypatch.context() as patched:
        patched.setattr(os, "kill", refuse)
        assert run_due(memory.catalog, noting([]), NOON).state == "running"


def test_a_run_that_died_long_ago_is_closed_by_the_next(memory: Service) -> None:
    dead = begun(memory, NOON, f"process {dead_process()} on {socket.gethostname()}")
    run_due(memory.catalog, noting([]), NOON + HOUR)
    run_due(memory.catalog, noting([]), NOON + 2 * HOUR)

    states = {run.at: run.state for run in runs(memory)}
    assert states == {NOON: "failed", NOON + HOUR: "done", NOON + 2 * HOUR: "done"}
    with memory.catalog.reading() as records:
        closed = records.get(JobRun, dead.id)
    assert closed is not None
    assert closed.detail == "Its process ended before it did; the next run made up for it."


def hang(url: str, begun: str) -> None:
    """Run a job that never ends, in a process of its own."""

    def run(_now: datetime) -> str:
        Path(begun).touch()
        time.sleep(600)
        return ""

    service = open_service(Settings(store=url))
    run_due(service.catalog, Job("note", "Hang.", Schedule(HOUR), run), NOON)


@pytest.mark.timeout(60)
@pytest.mark.parametrize("engine", DURABLE)
def test_a_job_that_is_killed_with_its_process_is_found_and_run_again(engine: str, tmp_path: Path) -> None:
    url, begun_file = store_url(engine, tmp_path), tmp_path / "begun"
    service = open_service(Settings(store=url))
    times: list[datetime] = []
    process = multiprocessing.get_context("spawn").Process(target=hang, args=(url, str(begun_file)))
    process.start()
    try:
        while not begun_file.exists():
            assert process.is_alive()
            time.sleep(0.02)
        assert run_due(service.catalog, noting(times), NOON).state == "running"
        assert process.pid is not None
        os.kill(process.pid, signal.SIGKILL)
        process.join(30)
        again = run_due(service.catalog, noting(times), NOON)
    finally:
        process.kill()
        process.join()
        service.close()
    assert (again.state, len(times)) == ("done", 1)
