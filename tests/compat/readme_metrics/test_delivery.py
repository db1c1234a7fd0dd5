"""The buffer, the pause, the timeout, the two modes; nothing is lost or doubled by a server that comes and goes."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest

from support.served import environment
from tollkeeper.capture import inline
from tollkeeper.errors import SinkError
from tollkeeper.sinks import readme
from tollkeeper.sinks.readme import ReadMeSink

if TYPE_CHECKING:
    from support.readme import ReadMe

PAUSING = [401, 403, 429, 500, 503]
SCRIPT = """
import os, sys
from flask import Flask
from tollkeeper.compat.readme_metrics import MetricsApiConfig, ReadMeMetrics
app = Flask("shop")
background = sys.argv[1] == "background"
ReadMeMetrics(MetricsApiConfig("key", lambda _: {"id": "1234"}, background_worker_mode=background), app)
for _ in range(3):
    app.test_client().get("/")
"""


@pytest.fixture
def short_pause(monkeypatch: pytest.MonkeyPatch) -> float:
    monkeypatch.setattr(readme, "PAUSE_SECONDS", 0.4)
    monkeypatch.setattr(inline, "PAUSE_SECONDS", 0.4)
    return 0.4


def call(watched: Any, times: int) -> None:
    for _ in range(times):
        assert watched.call().status_code == 200


@pytest.mark.parametrize("background", [True, False], ids=["background", "inline"])
def test_a_batch_leaves_when_as_many_logs_wait_as_buffer_length_says(
    watch: Any, service: ReadMe, *, background: bool
) -> None:
    watched = watch(buffer_length=4, background_worker_mode=background)
    call(watched, 3)
    time.sleep(0.1)
    assert service.posts == []
    call(watched, 1)
    service.wait(4)
    call(watched, 7)
    service.wait(8)
    time.sleep(0.1)
    assert service.batches == [4, 4]
    assert watched.metrics.stats().queued == 3
    assert watched.metrics.flush(5)
    assert service.batches == [4, 4, 3]


def test_batches_are_whole_under_load(watch: Any, service: ReadMe) -> None:
    watched = watch(buffer_length=5)
    threads = [threading.Thread(target=call, args=(watched, 25)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    service.wait(100)
    assert service.batches == [5] * 20
    assert set(service.taken.values()) == {1}


@pytest.mark.parametrize("mode", ["background", "inline"])
def test_the_rest_leaves_at_exit(service: ReadMe, mode: str) -> None:
    variables = environment() | {"README_METRICS_SERVER": service.url}
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, mode], env=variables, capture_output=True, text=True, check=False, timeout=20
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert service.batches == [3]


@pytest.mark.parametrize("status", PAUSING)
def test_these_answers_start_a_pause_of_15_seconds(service: ReadMe, status: int) -> None:
    service.statuses = [status]
    sink = ReadMeSink("key", base_url=service.url)
    with pytest.raises(SinkError, match=f"answers {status}") as caught:
        sink.post([b"{}"])
    sink.close()
    assert caught.value.retry
    assert caught.value.retry_after == 15
    assert "key" not in str(caught.value).replace("API key", "")


def test_a_longer_retry_after_prolongs_the_pause(service: ReadMe) -> None:
    service.statuses, service.headers = [429, 429], {"Retry-After": "60"}
    sink = ReadMeSink("key", base_url=service.url)
    with pytest.raises(SinkError) as caught:
        sink.post([b"{}"])
    assert caught.value.retry_after == 60
    service.headers = {"Retry-After": "1"}
    with pytest.raises(SinkError) as caught:
        sink.post([b"{}"])
    assert caught.value.retry_after == 15
    sink.close()


@pytest.mark.parametrize("status", PAUSING)
def test_no_batch_is_lost_to_a_pause(watch: Any, service: ReadMe, short_pause: float, status: int) -> None:
    service.statuses = [status]
    watched = watch(buffer_length=2)
    began = time.monotonic()
    call(watched, 6)
    service.wait(6)
    assert time.monotonic() - began >= short_pause
    assert service.batches == [2, 2, 2]
    assert set(service.taken.values()) == {1}
    assert watched.metrics.flush(5)
    assert watched.metrics.stats().sent == 6


def test_timeout_bounds_each_call_and_no_batch_is_lost_to_it(watch: Any, service: ReadMe) -> None:
    service.statuses = [-2]
    watched = watch(timeout=0.3)
    began = time.monotonic()
    call(watched, 2)
    service.wait(2)
    assert 0.3 <= time.monotonic() - began < 2
    assert watched.metrics.flush(5)
    assert watched.metrics.stats().retries == 1


def test_what_readme_refuses_for_good_is_counted(watch: Any, service: ReadMe) -> None:
    service.statuses = [400]
    watched = watch()
    call(watched, 1)
    service.wait_posts(1)
    assert watched.metrics.flush(5)
    assert watched.metrics.stats().dropped == {"sink": 1}


def test_what_is_too_large_leaves_in_halves_and_what_is_too_large_alone_is_counted(watch: Any, service: ReadMe) -> None:
    service.largest = 2
    watched = watch(buffer_length=4)
    call(watched, 4)
    service.wait(4)
    assert service.batches == [2, 2]
    service.largest = 0
    call(watched, 4)
    assert watched.metrics.flush(5)
    assert watched.metrics.stats().dropped == {"rejected": 4}


def test_a_server_that_is_stopped_and_started_again_gets_each_log_once(watch: Any, service: ReadMe) -> None:
    watched = watch(buffer_length=2)
    call(watched, 4)
    service.wait(4)
    service.stop()
    call(watched, 5)
    time.sleep(0.3)
    service.start()
    call(watched, 5)
    assert watched.metrics.flush(10)
    assert len(service.wait(14)) == 14
    assert set(service.taken.values()) == {1}
    assert watched.metrics.stats().sent == 14


def test_a_server_that_hangs_up_gets_the_batch_again_with_the_same_ids(watch: Any, service: ReadMe) -> None:
    service.statuses = [202, 0, 0]
    watched = watch(buffer_length=2)
    call(watched, 4)
    service.wait(4)
    first, *again = [[log["_id"] for log in post.logs] for post in service.posts]
    assert len(again) >= 3
    assert first not in again
    assert all(ids == again[0] for ids in again)
    assert set(service.taken.values()) == {1}


def test_while_the_server_hangs_no_request_waits(watch: Any, service: ReadMe) -> None:
    service.statuses = [-3]
    watched = watch()
    call(watched, 1)
    service.wait_posts(1)
    began = time.monotonic()
    call(watched, 20)
    assert time.monotonic() - began < 2  # it hangs for longer
    service.wait(20)


def test_nothing_is_looked_up_and_no_request_waits_for_the_first_batch(watch: Any, service: ReadMe) -> None:
    service.stop()
    watched = watch(base_log_url=None)
    began = time.monotonic()
    call(watched, 1)
    assert time.monotonic() - began < 0.5
    service.start()
    service.wait(1)
    assert {post.path for post in service.posts} == {"/v1/request"}


def test_without_the_background_worker_the_request_sends(watch: Any, service: ReadMe) -> None:
    before = set(threading.enumerate())  # what other tests have left may still run
    watched = watch(background_worker_mode=False)
    service.statuses = [202]
    call(watched, 1)
    assert len(service.logs) == 1
    new = [thread.name for thread in threading.enumerate() if thread not in before]
    assert len(new) <= 1  # the server's own
    assert "tollkeeper" not in new


def test_without_the_background_worker_nothing_is_raised_or_lost(
    watch: Any, service: ReadMe, short_pause: float
) -> None:
    watched = watch(background_worker_mode=False, timeout=0.3)
    service.statuses = [503]
    call(watched, 3)
    assert [post.status for post in service.posts] == [503]  # the others did not even try
    time.sleep(short_pause)
    service.statuses = [-1]
    call(watched, 2)
    time.sleep(short_pause)
    service.stop()
    call(watched, 1)
    time.sleep(short_pause)
    service.start()
    call(watched, 4)
    assert watched.metrics.flush(5)
    assert len(service.wait(10)) == 10
    assert set(service.taken.values()) == {1}
    assert watched.metrics.stats().sent == 10


def test_without_the_background_worker_what_is_refused_for_good_is_counted(watch: Any, service: ReadMe) -> None:
    service.statuses = [400]
    watched = watch(background_worker_mode=False)
    call(watched, 2)
    assert watched.metrics.stats().dropped == {"sink": 1}
    assert watched.metrics.stats().sent == 1


def test_without_the_background_worker_one_request_sends_at_a_time(watch: Any, service: ReadMe) -> None:
    service.statuses = [-3]
    watched = watch(background_worker_mode=False)
    slow = threading.Thread(target=call, args=(watched, 1))
    slow.start()
    service.wait_posts(1)
    began = time.monotonic()
    call(watched, 1)
    assert time.monotonic() - began < 2  # the other one takes longer
    assert not watched.metrics.flush(0.01)
    assert not watched.metrics.close(0.05)
    slow.join(5)


def test_without_the_background_worker_what_ends_the_thread_keeps_the_batch(
    watch: Any, service: ReadMe, monkeypatch: pytest.MonkeyPatch
) -> None:
    watched = watch(background_worker_mode=False)

    def exit_now(_sink: ReadMeSink, _logs: object) -> None:
        raise SystemExit(3)

    with monkeypatch.context() as patched:
        patched.setattr(ReadMeSink, "post", exit_now)
        with pytest.raises(SystemExit):
            watched.call()
    assert watched.metrics.stats().queued == 1
    assert watched.metrics.flush(1)
    assert len(service.logs) == 1


def test_logs_that_fill_the_memory_leave_before_there_are_as_many_as_buffer_length_says(
    watch: Any, service: ReadMe
) -> None:
    watched = watch(buffer_length=1000)
    watched.app.add_url_rule("/large", view_func=lambda: "x" * 2**20)
    for _ in range(17):
        watched.call("/large")
    assert len(service.wait(16)) >= 16


def test_a_fault_of_ours_is_counted_and_does_not_reach_the_app(
    watch: Any, service: ReadMe, monkeypatch: pytest.MonkeyPatch
) -> None:
    watched = watch()
    recorder = watched.metrics._recorder

    def fail(*_: object) -> None:
        raise RuntimeError("planted")

    monkeypatch.setattr(recorder._queue, "put", fail)
    call(watched, 1)
    assert watched.metrics.stats().dropped == {"error": 1}
    monkeypatch.undo()
    monkeypatch.setenv("README_METRICS_SERVER", service.url)
    recorder.finish_early(object(), [])
    assert watched.metrics.stats().dropped == {"error": 2}
