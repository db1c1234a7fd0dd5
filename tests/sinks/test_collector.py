from __future__ import annotations

import gzip
import json
import socket
import threading
import time
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import pytest
from msgspec.structs import replace

from tollkeeper.capture.queue import Queue, QueueLimits
from tollkeeper.errors import SinkError
from tollkeeper.events.event import UsageEvent
from tollkeeper.log import QuietLog
from tollkeeper.sinks.collector import CollectorSink

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

Reply = tuple[int, dict[str, str], bytes]


class Service:
    """A collector on a real socket: ``replies`` are given in turn, then it stores and answers with receipts."""

    def __init__(self) -> None:
        self.replies: list[Reply | Callable[[], None]] = []
        self.stored: dict[str, Any] = {}
        self.requests: list[tuple[str, dict[str, str], int]] = []
        self.connections = 0
        self.largest = 10**9
        self.losing = 0
        self.received = self.duplicates = 0
        service = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def setup(self) -> None:
                super().setup()
                service.connections += 1

            def do_POST(self) -> None:
                service.answer(self)

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True).start()

    def answer(self, handler: BaseHTTPRequestHandler) -> None:
        events = json.loads(gzip.decompress(handler.rfile.read(int(handler.headers["Content-Length"]))))
        self.requests.append((handler.path, dict(handler.headers), len(events)))
        if self.replies:
            reply = self.replies.pop(0)
            if callable(reply):
                reply()
                handler.close_connection = True
                return
        elif len(events) > self.largest:
            reply = (413, {}, b"")
        else:
            self.received += len(events)
            new = {event["id"]: event for event in events if event["id"] not in self.stored}
            self.stored |= new
            self.duplicates += len(events) - len(new)
            receipt = {"received": len(events), "stored": len(new), "duplicate": len(events) - len(new), "rejected": 0}
            reply = (200, {}, json.dumps(receipt).encode())
        if self.losing and len(self.requests) % self.losing == 0:
            handler.close_connection = True  # stored, but the answer never arrives
            return
        status, headers, body = reply
        handler.send_response(status)
        for name, value in ({"Content-Length": str(len(body))} | headers).items():
            handler.send_header(name, value)
        handler.end_headers()
        handler.wfile.write(body)


@pytest.fixture
def service() -> Iterator[Service]:
    made = Service()
    yield made
    made.server.shutdown()
    made.server.server_close()


@pytest.fixture
def sink(service: Service) -> Iterator[CollectorSink]:
    made = CollectorSink(service.url + "/", token="secret", timeout=5)
    yield made
    made.close()


def events(count: int) -> list[UsageEvent]:
    time = datetime(2024, 1, 1, tzinfo=UTC)
    return [UsageEvent(id=str(n), source="s", time=time, method="GET", path="/", status_code=200) for n in range(count)]


def receipt(**counts: object) -> Reply:
    return 202, {}, json.dumps({"received": 0, "stored": 0, "duplicate": 0, "rejected": 0} | counts).encode()


def test_batches_go_gzipped_with_the_token_over_one_connection(service: Service, sink: CollectorSink) -> None:
    for _ in range(3):
        sink.send(events(10))
    assert sorted(service.stored) == sorted(str(n) for n in range(10))
    assert service.connections == 1
    path, headers, count = service.requests[0]
    assert (path, count) == ("/v1/events", 10)
    assert headers["Authorization"] == "Bearer secret"
    assert headers["Content-Encoding"] == "gzip"


def test_413_is_halved_until_it_fits(service: Service, sink: CollectorSink) -> None:
    service.largest = 3
    sink.send(events(10))
    assert len(service.stored) == 10
    assert [count for *_, count in service.requests] == [10, 5, 2, 3, 5, 2, 3]


def test_one_event_that_is_too_large_is_rejected_alone(
    service: Service, sink: CollectorSink, caplog: pytest.LogCaptureFixture
) -> None:
    service.replies = [(413, {}, b""), (413, {}, b"")]
    sink.send(events(2))
    assert sink.rejected == 1
    assert list(service.stored) == ["1"]
    assert "too large" in caplog.text


def test_an_event_that_is_no_json_costs_no_other(
    service: Service, sink: CollectorSink, caplog: pytest.LogCaptureFixture
) -> None:
    odd = [replace(event, path="/\ud800") if number == 3 else event for number, event in enumerate(events(10))]
    sink.send(odd)
    assert sorted(service.stored) == sorted(str(number) for number in range(10) if number != 3)
    assert sink.rejected == 1
    assert "no JSON" in caplog.text


def test_rejected_events_are_counted_and_logged_once_a_minute(
    service: Service, sink: CollectorSink, caplog: pytest.LogCaptureFixture
) -> None:
    error = {"index": 1, "code": "invalid_event", "detail": "bad units"}
    service.replies = [receipt(received=3, stored=1, duplicate=1, rejected=1, errors=[error])] * 2
    sink.send(events(3))
    sink.send(events(3))
    assert sink.rejected == 2
    assert caplog.text.count("bad units") == 1


@pytest.mark.parametrize(
    ("status", "message"),
    [
        (401, "tollkeeper token create --scope ingest"),
        (403, "scope"),
        (404, "root"),
        (422, "too odd"),
        (301, "too odd"),
    ],
)
def test_other_refusals_say_what_to_do_and_wait_for_it_unless_the_events_are_wrong(
    service: Service, sink: CollectorSink, status: int, message: str
) -> None:
    service.replies = [(status, {}, b"too odd")]
    with pytest.raises(SinkError, match=message) as caught:
        sink.send(events(1))
    assert caught.value.retry is (status != 422)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("header", "low", "high"),
    [
        ("7", 7, 7),
        ("in 15 minutes", 600, 900),
        ("Sun, 06 Nov 1994 08:49:37 GMT", 0, 0),
        ("soon", None, None),
        ("", None, None),
    ],
    ids=["seconds", "date", "date in the past", "garbage", "empty"],
)
def test_429_asks_for_a_retry_after(
    service: Service, sink: CollectorSink, header: str, low: float | None, high: float | None
) -> None:
    if header == "in 15 minutes":
        header = format_datetime(datetime.now(UTC) + timedelta(seconds=900), usegmt=True)
    service.replies = [(429, {"Retry-After": header}, b"")]
    with pytest.raises(SinkError) as caught:
        sink.send(events(1))
    assert caught.value.retry
    if low is None or high is None:
        assert caught.value.retry_after is None
    else:
        assert caught.value.retry_after is not None
        assert low <= caught.value.retry_after <= high


def test_500_then_ok(service: Service, sink: CollectorSink) -> None:
    service.replies = [(500, {}, b"oops")]
    with pytest.raises(SinkError) as caught:
        sink.send(events(2))
    assert caught.value.retry
    sink.send(events(2))
    assert len(service.stored) == 2
    assert service.connections == 1


@pytest.mark.parametrize(
    "reply",
    [
        (200, {}, b""),
        (200, {}, b"<html>hello</html>"),
        (200, {}, b"[]"),
        (200, {}, b'{"received": 1}'),
        receipt(received=1, stored=1),
        receipt(received=2, stored=1),
        (204, {}, b""),
    ],
)
def test_an_answer_that_is_no_receipt_of_the_batch_is_no_success(
    service: Service, sink: CollectorSink, reply: Reply
) -> None:
    service.replies = [reply]
    with pytest.raises(SinkError) as caught:
        sink.send(events(2))
    assert caught.value.retry
    sink.send(events(2))
    assert len(service.stored) == 2


def test_an_answer_without_end_is_not_read_to_it(service: Service, sink: CollectorSink) -> None:
    service.replies = [(200, {}, b"x" * 2**21)]
    with pytest.raises(SinkError):
        sink.send(events(1))
    sink.send(events(1))
    assert len(service.stored) == 1


def test_a_connection_that_the_service_closed_is_made_anew(service: Service, sink: CollectorSink) -> None:
    sink.send(events(1))
    service.replies = [lambda: None]
    sink.send(events(3))
    assert len(service.stored) == 3
    service.replies = [lambda: None, lambda: None]
    with pytest.raises(SinkError) as caught:
        sink.send(events(3))
    assert caught.value.retry


def test_nobody_listens() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
    with pytest.raises(SinkError, match="Is the service running") as caught:
        CollectorSink(f"http://127.0.0.1:{port}").send(events(1))
    assert caught.value.retry


def test_a_service_that_hangs_is_given_up_after_the_timeout(service: Service) -> None:
    gate = threading.Event()

    def hang() -> None:
        gate.wait(10)

    service.replies = [hang]
    sink = CollectorSink(service.url, timeout=1)
    began = time.monotonic()
    with pytest.raises(SinkError) as caught:
        sink.send(events(1))
    assert caught.value.retry
    assert time.monotonic() - began < 8
    gate.set()
    sink.send(events(1))
    assert len(service.stored) == 1
    sink.close()


@pytest.mark.parametrize("head", ["Content-Length: 1000", "Connection: close"])
def test_an_answer_that_comes_drop_by_drop_is_given_up_after_the_timeout(head: str) -> None:
    ended = threading.Event()

    def drip() -> None:
        listener.settimeout(20)
        connection, _ = listener.accept()
        with connection:
            connection.recv(2**16)
            connection.sendall(f"HTTP/1.1 200 OK\r\n{head}\r\n\r\n".encode())
            for _ in range(50):
                if ended.wait(0.1):
                    break
                connection.sendall(b" ")

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=drip)
        thread.start()
        sink = CollectorSink(f"http://127.0.0.1:{listener.getsockname()[1]}", timeout=0.5)
        began = time.monotonic()
        with pytest.raises(SinkError, match="in time"):
            sink.send(events(1))
        assert time.monotonic() - began < 4.5
        sink.close()
        ended.set()
        thread.join(5)


def test_an_answer_that_is_no_http() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def answer() -> None:
            listener.settimeout(20)
            connection, _ = listener.accept()
            with connection:
                connection.recv(65536)
                connection.sendall(b"SSH-2.0-OpenSSH\r\n\r\n")

        thread = threading.Thread(target=answer, daemon=True)
        thread.start()
        with pytest.raises(SinkError):
            CollectorSink(f"http://127.0.0.1:{listener.getsockname()[1]}", timeout=2).send(events(1))
        thread.join(5)


def test_a_service_that_fails_in_every_way_gets_each_event_once(service: Service, sink: CollectorSink) -> None:
    service.largest, service.losing = 40, 5
    service.replies = [(500, {}, b""), (429, {"Retry-After": "0"}, b""), (200, {}, b"nonsense"), lambda: None]
    limits = QueueLimits(batch_events=90, flush_seconds=0.01, backoff_seconds=0.01)
    queue: Queue[UsageEvent] = Queue(lambda event: event, sink.send, sink.close, limits, QuietLog())
    for event in events(1000):
        queue.put(event, 1)
    assert queue.close(20)
    assert queue.stats().sent == len(service.stored) == 1000
    assert service.received - service.duplicates == 1000
    assert service.duplicates > 0  # it was sent again, and counted once
