"""A spool whose processes are killed, whose disk is full, whose collector is gone: what was taken arrives, once."""

from __future__ import annotations

import os
import random
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections import Counter
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from support.served import environment
from support.spooled import Taker, drain, events, wait_for
from tollkeeper.capture.queue import QueueLimits
from tollkeeper.capture.spool.forwarder import Forwarder
from tollkeeper.capture.spool.spool import Spool
from tollkeeper.errors import SinkError
from tollkeeper.log import QuietLog
from tollkeeper.sinks.collector import CollectorSink
from tollkeeper.sinks.sqlite import SQLiteSink
from tollkeeper.testing import FakeCollector

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

KILLS = 20

PRELUDE = """
import os, random, sys, threading, time, warnings
warnings.simplefilter("ignore", DeprecationWarning)  # that forks and threads may not mix is the point
from tollkeeper.capture import spool as spools
from tollkeeper.capture.spool.forwarder import Forwarder
from tollkeeper.log import QuietLog
from tollkeeper.capture.queue import QueueLimits
from tollkeeper.capture.spool.spool import Spool
from tollkeeper.errors import SinkError
from tollkeeper.events.event import UsageEvent
from tollkeeper.events.timestamps import EPOCH
from tollkeeper.sinks.sqlite import SQLiteSink

def events(*names):
    path = "/" + "x" * random.randrange(300)
    return [UsageEvent(id=name, source="s", time=EPOCH, method="GET", path=path, status_code=200) for name in names]

class Down:
    def send(self, events):
        raise SinkError("down")
    def close(self):
        pass

def forwarder(sink, **options):
    limits = QueueLimits(backoff_seconds=0.01, shutdown_seconds=10)
    made = Forwarder(Spool("spool", **options), sink.send, sink.close, limits, QuietLog())
    made.start()
    return made
"""

LOAD = """
sink = Down() if sys.argv[2] == "down" else SQLiteSink("usage.db")
f = forwarder(sink, segment_bytes=20_000)
number = 0
while True:
    names = [f"{sys.argv[1]}-{number + n}" for n in range(random.randint(1, 30))]
    f.send(events(*names))
    os.write(1, "".join(name + "\\n" for name in names).encode())  # whoever reads this may rely on it
    number += len(names)
"""


@contextmanager
def running(folder: Path, script: str, *arguments: str) -> Iterator[subprocess.Popen[bytes]]:
    """A process that is killed when it has not ended before."""
    with (folder / "errors").open("ab") as errors:
        process = subprocess.Popen(
            [sys.executable, "-c", PRELUDE + script, *arguments],
            cwd=folder,
            env=environment(),
            stdout=subprocess.PIPE,
            stderr=errors,
        )
    try:
        yield process
    finally:
        process.kill()
        process.wait(20)
        assert process.stdout is not None
        process.stdout.close()


def output_of(folder: Path, script: str, *arguments: str) -> list[str]:
    with running(folder, script, *arguments) as process:
        lines = process.communicate(timeout=60)[0].decode().splitlines()
        assert process.returncode == 0, (folder / "errors").read_text()
    return lines


def kill(process: subprocess.Popen[bytes]) -> list[str]:
    """Kill a process, and give what it had said until then, without a last line that is torn."""
    process.send_signal(signal.SIGKILL)
    assert process.stdout is not None
    said = process.stdout.read().decode()
    return said[: said.rfind("\n") + 1].split()


def stored(folder: Path) -> list[str]:
    connection = sqlite3.connect(folder / "usage.db")
    try:
        return [id_ for (id_,) in connection.execute("SELECT id FROM usage_events")]
    finally:
        connection.close()


def forwarder(path: Path, sink: Any, **options: Any) -> Forwarder:
    limits = QueueLimits(backoff_seconds=0.02, shutdown_seconds=10, batch_events=100)
    return Forwarder(Spool(path, **options), sink.send, sink.close, limits, QuietLog())


def send_all_that_was_left(path: Path, sink: Any) -> Forwarder:
    f = forwarder(path, sink)
    f.start()
    wait_for(lambda: not any(path.iterdir()), 60)
    f.close()
    return f


@pytest.mark.timeout(180)
def test_kill_9_at_random_moments_loses_and_doubles_nothing(tmp_path: Path) -> None:
    moments = random.Random(9)
    promised: list[str] = []
    for number in range(KILLS):
        with running(tmp_path, LOAD, str(number), "down") as process:
            assert process.stdout is not None
            promised.append(process.stdout.readline().decode().strip())  # it is at work now
            time.sleep(moments.uniform(0, 0.15))
            promised += kill(process)
    assert len({name.partition("-")[0] for name in promised}) == KILLS

    counting = Taker()
    f = send_all_that_was_left(tmp_path / "spool", counting)
    assert set(promised) <= set(counting.ids)
    assert counting.twice == []
    # More than was promised can only be a batch that was on the disk, and not said to be, when its process died.
    assert len(counting.ids) - len(promised) <= KILLS * 30
    assert f.stats().adopted.dropped == {}
    assert list((tmp_path / "spool").iterdir()) == []


@pytest.mark.timeout(180)
def test_workers_share_a_spool_while_some_of_them_are_killed(tmp_path: Path) -> None:
    moments = random.Random(99)
    promised: list[str] = []
    lock = threading.Lock()

    def work(worker: int) -> None:
        for number in range(7):
            with running(tmp_path, LOAD, f"{worker}.{number}", "up") as process:
                assert process.stdout is not None
                first = process.stdout.readline().decode().strip()
                time.sleep(moments.uniform(0.05, 0.4))
                with lock:
                    promised.extend([first, *kill(process)])

    workers = [threading.Thread(target=work, args=(number,)) for number in range(3)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    sink = SQLiteSink(tmp_path / "usage.db")
    send_all_that_was_left(tmp_path / "spool", sink)
    found = stored(tmp_path)
    assert len(promised) > 100
    assert set(promised) <= set(found)
    assert len(found) == len(set(found))


ADOPT = """
class File:
    def send(self, events):
        time.sleep(0.005)
        os.write(1, "".join(event.id + "\\n" for event in events).encode())
    def close(self):
        pass

spools.ADOPT_SECONDS = 0.01
until = time.monotonic() + 30
open(f"ready-{os.getpid()}", "w").close()
while len([name for name in os.listdir() if name.startswith("ready-")]) < 4 and time.monotonic() < until:
    time.sleep(0.001)
f = forwarder(File())
while os.listdir("spool") and time.monotonic() < until:
    time.sleep(0.01)
f.close()
"""


@pytest.mark.timeout(120)
def test_processes_that_adopt_at_the_same_time_send_nothing_twice(tmp_path: Path) -> None:
    left = []
    for number in range(12):
        dead = Spool(tmp_path / "spool", segment_bytes=3000)
        for start in range(20):
            names = [f"{number}-{start}-{n}" for n in range(5)]
            left += names
            dead.append(events(*names))
        dead.close()
    outputs: list[list[str]] = []
    threads = [threading.Thread(target=lambda: outputs.append(output_of(tmp_path, ADOPT))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(outputs) == 4
    assert len([output for output in outputs if output]) > 1
    assert Counter(name for output in outputs for name in output) == Counter(left)


FORK = """
f = forwarder(SQLiteSink("usage.db"), segment_bytes=5000)
ending = threading.Event()
sent = [0]

def load():
    while not ending.is_set():
        f.send(events(*(f"parent-{sent[0] + n}" for n in range(5))))
        sent[0] += 5

threads = [threading.Thread(target=load)]
for thread in threads:
    thread.start()
children = []
for number in range(8):
    time.sleep(0.05)
    child = os.fork()
    if child == 0:
        assert f.stats().own.taken == 0
        for mine in range(20):
            f.send(events(f"child-{number}-{mine}"))
            assert f.stats().own.taken == mine + 1
        if number % 2:
            assert f.flush(20)
            assert f.stats().own.sent == 20
            f.close(20)
            sys.exit(0)
        os._exit(0)  # without a word: its parent takes over what is left
    children.append(child)
ending.set()
for thread in threads:
    thread.join()
assert all(os.waitpid(child, 0)[1] == 0 for child in children)
assert f.flush(20)
assert f.stats().own.taken == sent[0] == f.stats().own.sent, f.stats()
until = time.monotonic() + 20
while len(os.listdir("spool")) > 1 and time.monotonic() < until:
    time.sleep(0.05)
f.close(20)
print(sent[0])
"""


@pytest.mark.timeout(120)
def test_forks_in_the_middle_of_the_work_lose_and_double_nothing(tmp_path: Path) -> None:
    (sent,) = output_of(tmp_path, FORK)
    expected = {f"parent-{number}" for number in range(int(sent))}
    expected |= {f"child-{number}-{mine}" for number in range(8) for mine in range(20)}
    found = stored(tmp_path)
    assert set(found) == expected
    assert len(found) == len(expected)
    assert list((tmp_path / "spool").iterdir()) == []


QUIET_END = """
from tollkeeper.capture.queue import Queue

f = forwarder(Down())
limits = QueueLimits(flush_seconds=0.05, shutdown_seconds=0.5, backoff_seconds=0.01)
queue = Queue(lambda number: events(str(number))[0], f.send, f.close, limits, QuietLog())
for number in range(300):
    queue.put(number, 1)
"""


@pytest.mark.timeout(60)
def test_what_waits_when_the_interpreter_ends_is_the_next_ones(tmp_path: Path) -> None:
    output_of(tmp_path, QUIET_END)
    assert sorted(drain(Spool(tmp_path / "spool")), key=int) == [str(number) for number in range(300)]


def took_more(collector: FakeCollector, before: int) -> bool:
    return len(collector.events) > before


@pytest.mark.timeout(120)
def test_a_collector_that_is_down_hangs_or_talks_nonsense_costs_nothing(tmp_path: Path) -> None:
    with FakeCollector() as collector:
        sink = CollectorSink(collector.url, timeout=0.5)
        f = forwarder(tmp_path / "spool", sink)
        ending = threading.Event()
        sent = [0]

        def load() -> None:
            while not ending.wait(0.01):
                f.send(events(*range(sent[0], sent[0] + 10)))
                sent[0] += 10

        thread = threading.Thread(target=load)
        thread.start()
        answers: list[Any] = [503, 429, "garbage", "drop", "lose", "hang"]
        try:
            for answer in answers:
                collector.answers += [answer] * 2
                wait_for(lambda: not collector.answers)
                wait_for(partial(took_more, collector, len(collector.events)))
            collector.stop()
            time.sleep(2)  # down, and what comes in goes on
            assert f.stats().own.spooled > 100
            collector.start()
        finally:
            ending.set()
            thread.join()
        assert f.flush(30)
        f.close()
    assert [event.id for event in collector.events] == [str(number) for number in range(sent[0])]
    assert len(collector.received) > len(collector.events)  # of the answers that were lost
    assert f.stats().own.dropped == {}
    assert f.stats().retries >= 5
    assert list((tmp_path / "spool").iterdir()) == []


def fill(f: Forwarder, taken: list[str]) -> list[str]:
    """Send until no place takes any more, and give what the queue would keep."""
    while True:
        names = [str(len(taken) + n) for n in range(10)]
        try:
            f.send(events(*names, size=200))
        except SinkError:
            return names
        taken += names


@pytest.mark.timeout(60)
def test_a_disk_that_is_full_loses_nothing_while_the_sink_works(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(disk)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("only root may mount a disk that is small enough to be full")
    try:
        sink = Taker(SinkError("down") for _ in iter(int, 1))
        f = forwarder(disk / "spool", sink, segment_bytes=64 * 2**10)
        taken: list[str] = []
        kept = fill(f, taken)  # no place is left, and the queue keeps this one
        assert len(taken) > 300
        assert f.stats().own.spooled == len(taken)
        assert f.stats().own.dropped == {}
        sink.failures = iter(())
        f.send(events(*kept))
        taken += kept
        assert f.flush(20)
        free = os.statvfs(disk)
        (disk / "filler").write_bytes(bytes(free.f_bavail * free.f_frsize))
        f.send(events("directly"))
        assert sink.ids[-1] == "directly"
        (disk / "filler").unlink()
        f.send(events("last"))
        assert f.flush(20)
        f.close()
        assert Counter(sink.ids) == Counter([*taken, "directly", "last"])
        assert list((disk / "spool").iterdir()) == []
    finally:
        subprocess.run(["umount", str(disk)], check=True)


LIMITED = """
import resource

class Out:
    def send(self, events):
        time.sleep(0.001)
        os.write(1, "".join(event.id + "\\n" for event in events).encode())
    def close(self):
        pass

# The process may write no file beyond this size: as far as it can tell, the disk is full.
resource.setrlimit(resource.RLIMIT_FSIZE, (4_000, resource.RLIM_INFINITY))
f = forwarder(Out())
for number in range(0, 2000, 5):
    f.send(events(*(str(number + n) for n in range(5))))
assert f.flush(20)
stats = f.stats()
assert stats.own.sent == 2000, stats
assert stats.corrupt_bytes == 0, stats
f.close()
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY,) * 2)
"""


@pytest.mark.timeout(60)
def test_a_write_that_ends_in_the_middle_is_taken_back_and_sent_directly(tmp_path: Path) -> None:
    found = output_of(tmp_path, LIMITED)
    assert Counter(found) == Counter(str(number) for number in range(2000))
    assert "sends directly" in (tmp_path / "errors").read_text()
    assert list((tmp_path / "spool").iterdir()) == []
