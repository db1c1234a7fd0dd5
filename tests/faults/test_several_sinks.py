"""Several sinks at once: whatever one of them does, the others get each event once, and the books of all are right."""

from __future__ import annotations

import contextlib
import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections import Counter
from typing import TYPE_CHECKING, Any

import flask
import pytest

from support.hosts import Load, environment, get, hosted, run_script
from support.spooled import wait_for
from tollkeeper.errors import SinkError
from tollkeeper.flask import Tollkeeper
from tollkeeper.testing import MemorySink

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from tollkeeper.capture.queue import Stats
    from tollkeeper.events.event import UsageEvent

REQUESTS = 300


class Sink:
    """Remembers how often it got each path; subclasses do worse."""

    def __init__(self) -> None:
        self.got: Counter[str] = Counter()
        self.closed = 0

    def send(self, events: Sequence[UsageEvent]) -> None:
        self.got.update(event.path for event in events)

    def close(self) -> None:
        self.closed += 1


class Hanging(Sink):
    def __init__(self) -> None:
        super().__init__()
        self.let_go = threading.Event()

    def send(self, events: Sequence[UsageEvent]) -> None:
        self.let_go.wait(60)
        super().send(events)


class Failing(Sink):
    def send(self, events: Sequence[UsageEvent]) -> None:
        raise SinkError(f"down for {len(events)}")


class Refusing(Sink):
    def send(self, events: Sequence[UsageEvent]) -> None:
        raise SinkError(f"never {len(events)}", retry=False)


class Nonsense(Sink):
    rejected = "nonsense"

    def send(self, events: Sequence[UsageEvent]) -> Any:
        if self.got.total() % 2:
            raise [ValueError("nonsense"), KeyError(object()), MemoryError(), RecursionError()][self.got.total() % 4]
        super().send(events)
        return object()

    def close(self) -> None:
        raise RuntimeError("nonsense")


class Exiting(Sink):
    def send(self, events: Sequence[UsageEvent]) -> None:
        raise SystemExit(len(events))


class Slow(Sink):
    def send(self, events: Sequence[UsageEvent]) -> None:
        time.sleep(0.2)
        super().send(events)


class Picky(Sink):
    """Rejects every third event for good, and fails now and then, as a sink that halves a batch would."""

    def __init__(self) -> None:
        super().__init__()
        self.rejected = 0
        self.times = 0

    def send(self, events: Sequence[UsageEvent]) -> None:
        self.times += 1
        wrong = [event for event in events if int(event.path.rpartition("/")[2]) % 3 == 0]
        self.rejected += len(wrong)
        if self.times % 2:
            raise SinkError("once more")
        super().send([event for event in events if event not in wrong])


class Unreadable(Sink):
    @property
    def rejected(self) -> int:
        raise RuntimeError("nobody knows")


@contextlib.contextmanager
def shop(sinks: list[Any], **options: Any) -> Iterator[tuple[flask.Flask, Tollkeeper]]:
    app = flask.Flask("shop")
    app.config.update({"TOLLKEEPER_FLUSH_SECONDS": 0.02, "TOLLKEEPER_SHUTDOWN_SECONDS": 2})
    app.config.update({name: options.pop(name) for name in list(options) if name.startswith("TOLLKEEPER_")})
    app.add_url_rule("/users/<int:number>", view_func=lambda number: {"id": number})
    keeper = Tollkeeper(app, sink=sinks, **options)
    try:
        yield app, keeper
    finally:
        keeper.close(0.1)
        check(keeper.stats())


def ask(app: flask.Flask, numbers: range) -> list[str]:
    client = app.test_client()
    for number in numbers:
        with client.get(f"/users/{number}") as response:
            assert response.json == {"id": number}
    return [f"/users/{number}" for number in numbers]


def check(stats: Stats) -> None:
    for one in (stats, *stats.sinks.values()):
        gone = one.sent + one.spooled + one.excluded + sum(one.dropped.values())
        assert one.captured == gone + one.queued, one
        assert one.queued >= 0
    if len(stats.sinks) > 1:
        assert stats.captured == sum(one.captured for one in stats.sinks.values())


@pytest.mark.timeout(60)
@pytest.mark.parametrize("spooled", [False, True], ids=["memory", "spools"])
@pytest.mark.parametrize("bad", [Hanging, Failing, Refusing, Nonsense, Exiting, Slow, Picky, Unreadable])
@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_one_that_misbehaves_does_not_concern_the_others(tmp_path: Path, bad: type[Sink], *, spooled: bool) -> None:
    wrong, before, after = bad(), Sink(), MemorySink()
    options = {"spool": tmp_path / "spool"} if spooled else {}
    with shop([before, wrong, after], **options) as (app, keeper):
        paths = ask(app, range(REQUESTS))
        wait_for(lambda: before.got.total() == len(after.events) == REQUESTS, 20)
        assert before.got == Counter(paths)
        assert Counter(event.path for event in after.events) == Counter(paths)
        stats = keeper.stats()
        check(stats)
        for name in ("sink", "memory"):
            assert (stats.sinks[name].captured, stats.sinks[name].dropped) == (REQUESTS, {})
        wait_for(lambda: keeper.stats().sinks["sink"].sent == REQUESTS, 5)
        if isinstance(wrong, Hanging):
            wrong.let_go.set()
            assert keeper.flush(20)
            assert wrong.got == Counter(paths)


@pytest.mark.timeout(60)
@pytest.mark.parametrize("spooled", [False, True], ids=["memory", "spools"])
def test_what_a_sink_rejects_counts_as_rejected_and_not_as_sent(tmp_path: Path, *, spooled: bool) -> None:
    picky, good = Picky(), Sink()
    options = {"spool": tmp_path / "spool"} if spooled else {}
    with shop([picky, good], **options) as (app, keeper):
        ask(app, range(REQUESTS))
        assert keeper.flush(20)
        stats = keeper.stats()
        assert stats.sinks["picky"].sent == picky.got.total() == 200
        assert stats.sinks["picky"].dropped == {"rejected": 100}
        assert stats.sinks["sink"].sent == REQUESTS
        assert stats.dropped == {"rejected": 100}
        assert stats.sent == 500


@pytest.mark.timeout(60)
def test_what_a_single_sink_rejects_counts_as_well() -> None:
    with shop([Picky()]) as (app, keeper):
        ask(app, range(30))
        assert keeper.flush(20)
        assert (keeper.stats().sent, keeper.stats().dropped) == (20, {"rejected": 10})
        assert keeper.stats().sinks["picky"].sent == 20


def test_what_is_rejected_while_the_disk_fails_counts_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise OSError("no disk")

    picky = Picky()
    with shop([picky], spool=tmp_path / "spool") as (app, keeper):
        monkeypatch.setattr("tollkeeper.capture.spool.spool.Spool.append", broken)
        ask(app, range(30))
        wait_for(lambda: keeper.stats().sent == 20)
        assert keeper.stats().dropped == {"rejected": 10}


def test_an_event_is_made_once() -> None:
    shown: Counter[str] = Counter()

    def count(path: str, value: Any) -> Any:
        if path == "url" and value.startswith("http"):  # not that of the path
            shown[value] += 1
        return value

    one, two, three = MemorySink(), MemorySink(), MemorySink()
    with shop([one, two, three], redact=count, capture="metadata") as (app, keeper):
        ask(app, range(20))
        assert keeper.flush(10)
    assert set(shown.values()) == {1}
    assert len(shown) == 20
    for event, other in zip(one.events, two.events, strict=True):
        assert event is other


def test_an_event_that_cannot_be_made_is_counted_for_each(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise ValueError("planted")

    monkeypatch.setattr("tollkeeper.capture.document._event", broken)
    with shop([Sink(), MemorySink()]) as (app, keeper):
        ask(app, range(3))
        assert keeper.flush(10)
        assert {name: one.dropped for name, one in keeper.stats().sinks.items()} == {
            "sink": {"error": 3},
            "memory": {"error": 3},
        }


def test_what_is_left_out_is_left_out_for_all() -> None:
    with shop([Sink(), MemorySink()], exclude=[lambda request: request.path == "/users/1", 404]) as (app, keeper):
        ask(app, range(3))
        app.test_client().get("/nowhere", buffered=True)
        assert keeper.flush(10)
        for one in keeper.stats().sinks.values():
            assert (one.captured, one.sent, one.excluded) == (4, 2, 2)


def test_our_own_fault_is_counted_for_all(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("planted")

    with shop([Sink(), MemorySink()]) as (app, keeper):
        monkeypatch.setattr("tollkeeper.capture.exchange.Exchange.weight", broken)
        ask(app, range(2))
        assert keeper.stats().dropped == {"error": 4}
        assert keeper.stats().errors == {"observe": 2}


@pytest.mark.timeout(60)
@pytest.mark.parametrize(("setting", "reason"), [("EVENTS", "queue_events"), ("BYTES", "queue_bytes")])
def test_the_bounds_hold_for_all_queues_together(setting: str, reason: str) -> None:
    hanging, other, good = Hanging(), Hanging(), Sink()
    limit = 60 if setting == "EVENTS" else 60 * 2000
    with shop([hanging, other, good], **{f"TOLLKEEPER_QUEUE_{setting}": limit}) as (app, keeper):
        for number in range(0, REQUESTS, 10):  # as fast as the good one takes them
            ask(app, range(number, number + 10))
            wait_for(lambda number=number: good.got.total() == number + 10)  # type: ignore[misc]  # bound at once
        stats = keeper.stats()
        assert good.got.total() == REQUESTS
        assert stats.queued <= 60
        assert set(stats.dropped) == {reason}
        assert stats.sinks["sink"].dropped == {}
        hanging.let_go.set()
        other.let_go.set()


@pytest.mark.timeout(60)
def test_all_are_closed_by_one_deadline() -> None:
    sinks = [Hanging(), Hanging(), Slow(), Hanging(), Sink()]
    with shop(sinks) as (app, keeper):
        paths = ask(app, range(REQUESTS))
        began = time.monotonic()
        assert not keeper.close(3)
        assert time.monotonic() - began < 4
        stats = keeper.stats()
        assert sinks[2].got == sinks[4].got == Counter(paths)
        assert (sinks[2].closed, sinks[4].closed) == (1, 1)
        for name in ("hanging", "hanging-2", "hanging-3"):
            assert stats.sinks[name].dropped == {"shutdown": REQUESTS}
        assert not keeper.close(3)
        for sink in sinks:
            if isinstance(sink, Hanging):
                sink.let_go.set()


@pytest.mark.timeout(60)
def test_a_flush_does_not_let_one_wait_for_another() -> None:
    hanging, good = Hanging(), Sink()
    with shop([hanging, good], TOLLKEEPER_FLUSH_SECONDS=60) as (app, keeper):
        ask(app, range(10))
        began = time.monotonic()
        assert not keeper.flush(0.5)
        assert time.monotonic() - began < 2
        assert good.got.total() == 10
        hanging.let_go.set()
        assert keeper.flush()


def stored(path: Path) -> Counter[str]:
    try:
        with contextlib.closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as connection:
            return Counter(str(found) for (found,) in connection.execute("SELECT path FROM usage_events"))
    except sqlite3.OperationalError:
        return Counter()


@pytest.mark.timeout(60)
def test_the_exit_of_a_process_waits_once_for_all(tmp_path: Path) -> None:
    began = time.monotonic()
    run_script(
        tmp_path,
        """
        import threading
        from flask import Flask
        from tollkeeper.flask import Tollkeeper
        class Hanging:
            def send(self, events):
                threading.Event().wait()
            def close(self):
                pass
        app = Flask("shop")
        Tollkeeper(app, sink=[Hanging(), "sqlite:///a.db", Hanging(), "sqlite:///b.db", Hanging()])
        for number in range(50):
            app.test_client().get(f"/users/{number}", buffered=True)
        """,
        errors=None,
        TOLLKEEPER_SHUTDOWN_SECONDS="3",
    )
    assert time.monotonic() - began < 8
    paths = Counter(f"/users/{number}" for number in range(50))
    assert stored(tmp_path / "a.db") == stored(tmp_path / "b.db") == paths


@pytest.mark.timeout(60)
@pytest.mark.parametrize("how", ["os.fork", "multiprocessing"])
def test_a_child_of_a_fork_sends_its_own_to_all(tmp_path: Path, how: str) -> None:
    run_script(
        tmp_path,
        f"""
        import multiprocessing, os
        from shop import app, keeper
        client = app.test_client()
        def work(number):
            assert keeper.stats().captured == 0
            for one in range(5):
                client.get(f"/users/{{1000 * number + one}}", buffered=True)
        for one in range(5):
            client.get(f"/users/{{one}}", buffered=True)
        children = []
        for number in range(1, 5):
            if {how!r} == "multiprocessing":
                child = multiprocessing.get_context("fork").Process(target=work, args=(number,))
                child.start()
                children.append(child)
            elif not (child := os.fork()):
                work(number)
                os._exit(0 if keeper.close(10) and keeper.stats().sinks["sqlite-2"].sent == 5 else 1)
            else:
                children.append(child)
        for child in children:
            if isinstance(child, int):
                assert os.waitpid(child, 0)[1] == 0
            else:
                child.join(20)
                assert child.exitcode == 0
        """,
        TOLLKEEPER_SINK="sqlite:///a.db sqlite:///b.db",
    )
    expected = Counter(f"/users/{1000 * number + one}" for number in range(5) for one in range(5))
    assert stored(tmp_path / "a.db") == stored(tmp_path / "b.db") == expected


@pytest.mark.timeout(120)
def test_workers_of_a_preloaded_app_send_each_request_once_to_all(tmp_path: Path) -> None:
    more = {"TOLLKEEPER_SINK": f"sqlite:///{tmp_path}/a.db\nsqlite:///{tmp_path}/b.db"}
    with hosted(tmp_path, "gunicorn", "--preload", "-w", "3", "--threads", "2", workers=3, more=more) as host:
        with Load(host.port) as load:
            load.wait_for(300)
        host.stop(busy=True)
    for name in ("a.db", "b.db"):
        load.check(stored(tmp_path / name))


KILLED = """
import os, sys
from flask import Flask
from tollkeeper.errors import SinkError
from tollkeeper.flask import Tollkeeper

class Down:
    def send(self, events):
        raise SinkError("down")
    def close(self):
        pass

app = Flask("shop")
order = ["sqlite:///a.db", Down(), "sqlite:///b.db"]
keeper = Tollkeeper(app, sink=order if sys.argv[1] == "forth" else order[::-1], spool="spool")
client = app.test_client()
number = 0
while True:
    path = f"/{sys.argv[2]}/{number}"
    client.get(path, buffered=True)
    number += 1
    if number % 20 == 0:
        # All that was captured is in each of the spools, or sent.
        assert all(queue.flush(20) for queue in keeper._recorder._queues)
        os.write(1, f"{number}\\n".encode())
"""
LAST = """
import os, time
from flask import Flask
from pathlib import Path
from tollkeeper.flask import Tollkeeper

class Down:
    def __init__(self):
        self.file = open("down", "a")
    def send(self, events):
        self.file.write("".join(f"{event.path}\\n" for event in events))
        self.file.flush()
    def close(self):
        pass

app = Flask("shop")
keeper = Tollkeeper(app, sink=["sqlite:///b.db", Down(), "sqlite:///a.db"], spool="spool")
app.test_client().get("/last", buffered=True)
until = time.monotonic() + 40
while any(not one.name.startswith(f"{os.getpid()}-") for one in Path("spool").glob("*/*")) and time.monotonic() < until:
    time.sleep(0.05)
    app.test_client().get("/last", buffered=True)
    keeper.flush(1)
assert keeper.close(10)
"""


@pytest.mark.timeout(120)
def test_kill_9_with_spools_loses_and_doubles_nothing_at_any_sink(tmp_path: Path) -> None:
    promised: set[str] = set()
    for turn in range(4):
        with (tmp_path / "errors").open("ab") as errors:
            process = subprocess.Popen(
                [sys.executable, "-c", KILLED, "forth" if turn % 2 else "back", str(turn)],
                cwd=tmp_path,
                env=environment(tmp_path) | {"TOLLKEEPER_SPOOL_SECONDS": "0.05"},
                stdout=subprocess.PIPE,
                stderr=errors,
            )
        assert process.stdout is not None
        said = b""
        while said.count(b"\n") < 3 + turn:
            said += os.read(process.stdout.fileno(), 1000)
        process.send_signal(signal.SIGKILL)
        said += process.stdout.read()
        process.stdout.close()
        process.wait(20)
        promised |= {f"/{turn}/{number}" for number in range(int(said.split()[-1]))}
    done = subprocess.run(
        [sys.executable, "-c", LAST],
        cwd=tmp_path,
        env=environment(tmp_path),
        check=False,
        timeout=60,
        capture_output=True,
    )
    assert done.returncode == 0, done.stderr.decode()
    a, b = stored(tmp_path / "a.db"), stored(tmp_path / "b.db")
    down = Counter((tmp_path / "down").read_text().splitlines())
    for got in (a, b, down):
        assert promised <= got.keys()
        assert {path: count for path, count in got.items() if count > 1 and path != "/last"} == {}


def test_get_is_answered_whatever_the_sinks_do(tmp_path: Path) -> None:
    more = {"TOLLKEEPER_SINK": f"http://127.0.0.1:9 sqlite:///{tmp_path}/a.db http://127.0.0.1:10"}
    with hosted(tmp_path, "gunicorn", more=more | {"TOLLKEEPER_SHUTDOWN_SECONDS": "1"}) as host:
        for number in range(20):
            assert get(host.port, f"/users/{number}")[0] == 200
        wait_for(lambda: len(stored(tmp_path / "a.db")) == 20)
