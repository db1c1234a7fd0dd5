from __future__ import annotations

import errno
import logging
import shutil
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from support.spooled import Taker, drain, events, segments, wait_for
from tollkeeper.capture.queue import QueueLimits
from tollkeeper.capture.spool import segment as spool_segment
from tollkeeper.capture.spool.forwarder import Forwarder
from tollkeeper.capture.spool.segment import Segment
from tollkeeper.capture.spool.spool import Spool
from tollkeeper.errors import SinkError
from tollkeeper.folders.files import sync
from tollkeeper.log import QuietLog

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tollkeeper.capture.spool.stats import SpoolStats, Tally


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "spool"


def balanced(tally: Tally) -> bool:
    return tally.taken == tally.sent + tally.spooled + sum(tally.dropped.values()) and tally.spooled >= 0


@contextmanager
def forwarder(path: Path, sink: Any, spool: Spool | None = None, **limits: Any) -> Iterator[Forwarder]:
    chosen = QueueLimits(**({"backoff_seconds": 0.01, "shutdown_seconds": 5} | limits))
    made = Forwarder(spool or Spool(path), sink.send, sink.close, chosen, QuietLog())
    try:
        yield made
    finally:
        made.close(2)
        stats = made.stats()
        assert balanced(stats.own)
        assert balanced(stats.adopted)


def leave(path: Path, *names: object) -> None:
    dead = Spool(path)
    for name in names:
        assert dead.append(events(name))
    dead.close()


def test_everything_arrives_once_and_in_order(path: Path) -> None:
    sink = Taker()
    with forwarder(path, sink, batch_events=7) as f:
        for number in range(100):
            f.send(events(number))
        assert f.flush(10)
        assert sink.ids == [str(number) for number in range(100)]
        assert max(sink.batches) <= 7
        assert f.stats().own.sent == 100
    assert sink.closed == 1
    assert list(path.iterdir()) == []


def test_a_sink_that_hangs_holds_nobody_up(path: Path) -> None:
    sink = Taker()
    sink.gate.clear()
    with forwarder(path, sink) as f:
        for number in range(50):
            f.send(events(number))
        wait_for(lambda: sink.attempts == 1)
        assert f.stats().own.spooled == 50
        assert not f.flush(0.05)
        sink.gate.set()
        assert f.flush(10)
    assert sink.twice == []


def test_a_batch_is_sent_again_until_it_is_taken(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    failures = [SinkError("down"), OSError("surprise"), SinkError("busy", retry_after=0.05)]
    sink = Taker(failures)
    with forwarder(path, sink) as f:
        f.send(events(1))
        wait_for(lambda: f.stats().own.sent == 1)
        assert f.stats().retries == 3
    assert sink.ids == ["1"]
    assert "could not deliver" in caplog.text


def test_retry_after_is_honoured_whatever_comes_in_meanwhile(path: Path) -> None:
    times: list[float] = []

    class Busy(Taker):
        def send(self, batch: Any) -> None:
            times.append(time.monotonic())
            super().send(batch)

    with forwarder(path, Busy([SinkError("busy", retry_after=0.4)])) as f:
        for number in range(10):
            f.send(events(number))
            time.sleep(0.01)
        wait_for(lambda: f.stats().own.sent == 10)
    assert times[1] - times[0] >= 0.4


def test_flush_tries_at_once(path: Path) -> None:
    sink = Taker([SinkError("busy", retry_after=60)])
    with forwarder(path, sink) as f:
        f.send(events(1))
        wait_for(lambda: f.stats().retries == 1)
        assert f.flush(10)
        assert f.flush(0)


@pytest.mark.parametrize(
    "error", [SinkError("401", retry=False), ValueError("bug"), SystemExit(3)], ids=["refusal", "bug", "exit"]
)
def test_what_the_sink_never_takes_is_dropped_and_counted(path: Path, error: BaseException) -> None:
    sink = Taker([error] * 3)
    with forwarder(path, sink) as f:
        f.send(events(1, 2))
        assert f.flush(10)
        assert f.stats().own.dropped == {"sink": 2}
        sink.failures = iter(())
        f.send(events(3))
        assert f.flush(10)
    assert sink.ids == ["3"]


def test_a_full_spool_drops_the_newest_and_counts_them(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    sink = Taker()
    sink.gate.clear()
    with forwarder(path, sink, Spool(path, max_bytes=2000)) as f:
        for number in range(50):
            f.send(events(number))
        own = f.stats().own
        assert own.taken == 50
        assert own.dropped["spool_bytes"] == 50 - own.spooled > 0
        sink.gate.set()
        assert f.flush(10)
        assert sink.ids == [str(number) for number in range(own.spooled)]
        f.send(events("more"))
        assert f.flush(10)
    assert sink.ids[-1] == "more"
    assert caplog.text.count("is full") == 1


def broken(number: int) -> Callable[..., Any]:
    def call(*_: Any) -> Any:
        raise OSError(number, "broken")

    return call


def test_while_the_disk_cannot_be_written_it_sends_directly(
    path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    sink = Taker()
    with forwarder(path, sink) as f:
        f.send(events(1))
        assert f.flush(10)
        with monkeypatch.context() as patch:
            patch.setattr(spool_segment, "sync", broken(errno.ENOSPC))
            f.send(events(2))
            assert sink.ids == ["1", "2"]
            assert f.stats().own.sent == 2
        f.send(events(3))
        assert f.flush(10)
    assert sink.ids == ["1", "2", "3"]
    assert "sends directly" in caplog.text


@pytest.mark.parametrize("error", [SinkError("down", retry_after=7), RuntimeError("bug")])
def test_when_neither_disk_nor_sink_takes_it_the_queue_keeps_it(
    path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    sink = Taker([error])
    with forwarder(path, sink) as f:
        with monkeypatch.context() as patch:
            patch.setattr(spool_segment, "sync", broken(errno.EIO))
            with pytest.raises(type(error)) as caught:
                f.send(events(1))
        assert caught.value is error
        assert f.stats().own.taken == 0
        f.send(events(1))
        assert f.flush(10)
    assert sink.ids == ["1"]


def test_the_sink_is_called_by_one_thread_at_a_time(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    inside, most = [0], [0]

    class Watched(Taker):
        def send(self, batch: Any) -> None:
            inside[0] += 1
            most[0] = max(most[0], inside[0])
            time.sleep(0.002)
            inside[0] -= 1
            super().send(batch)

    sink = Watched()
    turns = iter(range(10**6))
    write = sync

    def sometimes(fd: int) -> None:
        if next(turns) % 2:
            raise OSError(errno.ENOSPC, "full")
        write(fd)

    monkeypatch.setattr(spool_segment, "sync", sometimes)
    with forwarder(path, sink) as f:
        for number in range(60):
            f.send(events(number))
        assert f.flush(10)
    assert sorted(sink.ids, key=int) == [str(number) for number in range(60)]
    assert most == [1]


def test_what_a_dead_process_left_is_sent_and_counted_apart(path: Path) -> None:
    leave(path, "a", "b")
    leave(path, "c")
    sink = Taker()
    with forwarder(path, sink, batch_events=1) as f:
        f.send(events(1))
        wait_for(lambda: len(sink.ids) == 4)
        wait_for(lambda: f.stats().adopted.sent == 3)
        assert f.stats().own.taken == 1
    assert sorted(sink.ids) == ["1", "a", "b", "c"]
    assert list(path.iterdir()) == []


def test_a_process_that_captures_nothing_sends_what_others_left_once_it_is_started(path: Path) -> None:
    leave(path, "a")
    sink = Taker()
    with forwarder(path, sink) as f:
        f.start()
        f.start()
        wait_for(lambda: sink.ids == ["a"])


def test_at_exit_its_own_are_sent_first_and_then_what_others_left(path: Path) -> None:
    leave(path, "a", "b")
    leave(path, "c")
    sink = Taker([SinkError("down", retry_after=60)])
    with forwarder(path, sink, batch_events=1) as f:
        f.start()
        wait_for(lambda: f.stats().retries == 1)  # an adopted one was tried, and waits
        f.send(events(1, 2))
        f.close(10)
    assert sink.ids[:2] == ["1", "2"]
    assert sorted(sink.ids[2:]) == ["a", "b", "c"]
    assert list(path.iterdir()) == []


def test_at_exit_it_does_not_insist_on_what_others_left(path: Path) -> None:
    leave(path, "a", "b")
    sink = Taker([SinkError("down"), SinkError("down")])
    with forwarder(path, sink, backoff_seconds=0.2) as f:
        f.start()
        wait_for(lambda: f.stats().retries == 1)
        began = time.monotonic()
        f.close(10)
        assert time.monotonic() - began < 5
        assert f.stats().adopted.spooled == 2
    assert sink.ids == []
    assert drain(Spool(path)) == ["a", "b"]


@pytest.mark.parametrize("hangs", [False, True], ids=["down", "hangs"])
def test_what_is_not_sent_at_exit_stays_for_the_next_process(path: Path, *, hangs: bool) -> None:
    sink = Taker(SinkError("down") for _ in iter(int, 1))
    if hangs:
        sink.gate.clear()
    with forwarder(path, sink, batch_events=10) as f:
        for number in range(20):
            f.send(events(number))
        began = time.monotonic()
        f.close(0.3)
        f.close(5)
        assert time.monotonic() - began < 2
        assert f.stats().own.spooled == 20
        with pytest.raises(SinkError) as caught:
            f.send(events("late"))
        assert not caught.value.retry
        f.start()
        assert not f.flush(0.01)
        sink.gate.set()
        wait_for(lambda: sink.closed == 1)
    following = Taker()
    with forwarder(path, following) as f:
        f.start()
        wait_for(lambda: len(following.ids) == 20)
    assert following.ids == [str(number) for number in range(20)]


def test_close_sends_what_waits_when_no_thread_can_be_started(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_thread(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    sink = Taker()
    with forwarder(path, sink) as f:
        monkeypatch.setattr(threading.Thread, "start", no_thread)
        f.send(events(1))
        assert not f.flush(0.05)
        f.close(5)
    assert sink.ids == ["1"]
    assert sink.closed == 1


def test_a_sink_may_close_what_calls_it(path: Path) -> None:
    class Closing(Taker):
        def send(self, batch: Any) -> None:
            super().send(batch)
            f.close(10)

    sink = Closing()
    with forwarder(path, sink) as f:
        f.send(events(1))
        wait_for(lambda: sink.closed == 1)
        assert f.stats().own.sent == 1


def test_a_close_that_raises_is_logged(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    class Stubborn(Taker):
        def close(self) -> None:
            raise RuntimeError("close")

    with forwarder(path, Stubborn()) as f:
        f.close()
    assert "could not close its sink" in caplog.text


def test_what_cannot_be_read_back_is_counted(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    sink = Taker([SinkError("down", retry_after=60)])
    with forwarder(path, sink) as f:
        f.send(events("first"))
        wait_for(lambda: f.stats().retries == 1)
        f.send(events("second"))
        f.send(events("third"))
        (file,) = segments(path)
        content = file.read_bytes()
        file.write_bytes(content.replace(b'"second"', b'"sec\x00nd"'))
        assert f.flush(10)
        stats: SpoolStats = f.stats()
        assert stats.own.dropped == {"spool_corrupt": 1}
        assert stats.corrupt_bytes > 100
    assert sink.ids == ["first", "third"]
    assert "could not read" in caplog.text


def test_trouble_with_reading_is_logged_and_tried_again(
    path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("tollkeeper.capture.spool.forwarder.IDLE_SECONDS", 0.02)
    sink = Taker()
    with forwarder(path, sink) as f, caplog.at_level(logging.WARNING):
        with monkeypatch.context() as patch:
            patch.setattr(Segment, "read", broken(errno.EMFILE))
            f.send(events(1))
            wait_for(lambda: "cannot read its spool" in caplog.text)
            assert sink.ids == []
        wait_for(lambda: sink.ids == ["1"])


def test_a_folder_that_is_removed_under_way_loses_nothing_of_what_is_open(path: Path) -> None:
    sink = Taker()
    sink.gate.clear()
    with forwarder(path, sink) as f:
        f.send(events(1))
        wait_for(lambda: sink.attempts == 1)
        f.send(events(2))
        shutil.rmtree(path)
        f.send(events(3))
        sink.gate.set()
        assert f.flush(10)
    assert sorted(sink.ids) == ["1", "2", "3"]


def test_counts_agree_at_every_moment_and_are_told_while_the_disk_hangs(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sink = Taker()
    ending, stuck, release = threading.Event(), threading.Event(), threading.Event()
    seen: list[SpoolStats] = []
    with forwarder(path, sink, batch_events=3) as f:

        def look() -> None:
            while not ending.is_set():
                seen.append(f.stats())
                time.sleep(0.0005)

        thread = threading.Thread(target=look)
        thread.start()
        for number in range(200):
            f.send(events(number))
        assert f.flush(10)
        ending.set()
        thread.join()
        assert all(balanced(stats.own) for stats in seen)
        assert len(seen) > 20

        def hang(_: int) -> None:
            stuck.set()
            release.wait(20)

        monkeypatch.setattr(spool_segment, "sync", hang)
        sending = threading.Thread(target=f.send, args=(events("slow"),))
        sending.start()
        stuck.wait(20)
        began = time.monotonic()
        assert f.stats().own.spooled == 1
        assert time.monotonic() - began < 10  # it hangs for twice as long
        release.set()
        sending.join()
        assert f.flush(10)
