"""For the tests of apps that use Tollkeeper, and for its own: what was captured, a clock, a collector."""

from __future__ import annotations

import threading
import time
from collections import deque
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import wraps
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, Literal, Self
from unittest import mock
from urllib.parse import urlsplit

import msgspec

from tollkeeper.capture.gate.fake import fake_gate
from tollkeeper.capture.recorder import Recorder
from tollkeeper.door import Door
from tollkeeper.errors import InvalidRequestError, TooLargeError
from tollkeeper.events.codec import decode_batch
from tollkeeper.events.receipt import Receipt
from tollkeeper.sinks.memory import MemorySink

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tollkeeper.capture.exchange import Exchange
    from tollkeeper.events.event import UsageEvent

__all__ = ["FakeCollector", "FrozenClock", "MemorySink", "capture_events", "fake_gate", "frozen_clock"]

EXTENSION = "tollkeeper"
NEW_YEAR = datetime(2026, 1, 1, tzinfo=UTC)
OK = 200
GARBAGE = b"<html>not a receipt</html>"

Answer = int | Literal["hang", "drop", "lose", "garbage"]


@contextmanager
def capture_events(app: object = None) -> Iterator[list[UsageEvent]]:
    """Give the events of what is requested inside, as soon as each response was read or closed; they go nowhere else.

    ``app`` is a Tollkeeper door or a Flask app that has one; without it, the events of all doors are given, also of
    those that are made inside. Such requests are in no ``stats()``. A request without a door is not seen.

    Raises:
        TypeError: ``app`` has no door.
    """
    recorder = None if app is None else _recorder(app)
    captured: list[UsageEvent] = []
    finish: Any = Recorder.finish

    @wraps(finish)
    def capture(this: Recorder, exchange: Exchange) -> None:
        if recorder is not None and this is not recorder:
            finish(this, exchange)
            return
        clock = vars(finish).get("clock")
        if clock is not None:
            clock.set(exchange)
        exchange.finished = True
        event = None if exchange.skipped else this.build(exchange)
        if event is not None:
            captured.append(event)

    with mock.patch.object(Recorder, "finish", capture):
        yield captured


def _recorder(app: Any) -> Recorder:
    extensions = getattr(app, "extensions", {})
    doors = [app, extensions.get(EXTENSION), *extensions.values()]
    door = next((one for one in doors if isinstance(one, Door)), None)
    recorder = None if door is None else door._recorder  # noqa: SLF001 - the door keeps it from the app
    if recorder is None:
        raise TypeError(f"{app!r} records nothing: give the Tollkeeper, or a Flask app that has one with a sink.")
    return recorder


class FrozenClock:
    """A time that stands still but for ``tick``. Safe in threads."""

    def __init__(self, now: datetime) -> None:
        self._start = now
        self._ticks: list[tuple[float, float]] = []

    def tick(self, seconds: float) -> None:
        """Let time pass."""
        self._ticks.append((time.perf_counter(), seconds))

    def passed(self, moment: float | None = None) -> float:
        """Seconds that have passed, until now or a ``moment`` of ``time.perf_counter()``."""
        ticks = list(self._ticks)
        return sum(seconds for at, seconds in ticks if moment is None or at <= moment)

    @property
    def now(self) -> datetime:
        """The time, aware."""
        return datetime.fromtimestamp(self._start.timestamp() + self.passed(), UTC)

    def set(self, exchange: Exchange) -> None:
        """Make this the clock of a request that has ended."""
        began = exchange.started
        exchange.time = self._start.timestamp() + self.passed(began)
        exchange.elapsed = self.passed(began + exchange.elapsed) - self.passed(began)
        if exchange.first_byte is not None:
            exchange.first_byte = self.passed(began + exchange.first_byte) - self.passed(began)


@contextmanager
def frozen_clock(now: datetime = NEW_YEAR) -> Iterator[FrozenClock]:
    """Let events of requests that end inside have a ``time`` and durations by a clock that stands still.

    ``clock.tick(0.25)`` in a view makes it last a quarter of a second. Delivery, retries and timeouts keep real time.
    """
    clock = FrozenClock(now if now.tzinfo else now.replace(tzinfo=UTC))
    finish = Recorder.finish

    def freeze(this: Recorder, exchange: Exchange) -> None:
        clock.set(exchange)
        finish(this, exchange)

    vars(freeze)["clock"] = clock  # for events that are captured inside, and go no further
    with mock.patch.object(Recorder, "finish", freeze):
        yield clock


class FakeCollector:
    """A Tollkeeper service on a real socket, as far as a sink can tell; a context manager, which starts and stops it.

    After ``stop`` it may be started again, at the same address, and knows what it took. ``url`` is what a sink is
    given; with a ``token``, whoever does not show it gets 401. ``answers`` are given in turn, then it takes all: a
    status like 429 or 503 (with ``Retry-After: 0``); ``"hang"`` until it is stopped; ``"drop"`` the connection, nothing
    taken; ``"lose"`` the answer, though the events were taken; ``"garbage"`` with status 200. ``received`` is every
    event that it took, in order, as often as it came; ``events`` has each once.
    """

    def __init__(self, *answers: Answer, token: str = "") -> None:
        self.answers: deque[Answer] = deque(answers)
        self.received: list[UsageEvent] = []
        self.requests = 0
        self._token = token
        self._lock = threading.Lock()
        self._ended = threading.Event()
        self._server: ThreadingHTTPServer | None = None
        self.url = ""

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        """Listen, at the first time at a port that is free."""
        self._ended.clear()
        self._server = ThreadingHTTPServer(("127.0.0.1", urlsplit(self.url).port or 0), _handler(self))
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()

    def stop(self) -> None:
        """Listen no more, and answer nobody."""
        server, self._server = self._server, None
        self._ended.set()
        if server is not None:
            server.shutdown()
            server.server_close()

    @property
    def events(self) -> list[UsageEvent]:
        """What it took, each event once by its source and id."""
        with self._lock:
            return list({(event.source, event.id): event for event in reversed(self.received)}.values())[::-1]

    def answer(self, path: str, headers: Any, body: bytes) -> tuple[int, bytes] | None:
        """Decide on a request: status and body, or None to close the connection without a word."""
        with self._lock:
            self.requests += 1
            plan: Answer = self.answers.popleft() if self.answers else 200
        if plan == "hang":
            self._ended.wait()
        if plan == "drop" or self._ended.is_set():  # on a connection that was kept open
            return None
        if plan == "garbage":
            return 200, GARBAGE
        status: Any = plan if isinstance(plan, int) and plan != OK else self._refusal(path, headers)
        if status:
            return status, b"{}"
        taken = self._take(headers, body)
        return None if plan == "lose" else taken

    def _refusal(self, path: str, headers: Any) -> int:
        if path.rstrip("/") != "/v1/events":
            return 404
        return 401 if self._token and headers.get("Authorization") != f"Bearer {self._token}" else 0

    def _take(self, headers: Any, body: bytes) -> tuple[int, bytes]:
        kind, encoding = headers.get("Content-Type", ""), headers.get("Content-Encoding", "")
        try:
            batch = decode_batch(body, source="tests", content_type=kind, encoding=encoding)
        except InvalidRequestError as error:
            return 413 if isinstance(error, TooLargeError) else 400, msgspec.json.encode({"detail": error.detail})
        with self._lock:
            known = {(event.source, event.id) for event in self.received}
            new = {(event.source, event.id) for event in batch.events} - known
            self.received += batch.events
        rejected, stored = len(batch.errors), len(new)
        receipt = Receipt(
            received=batch.received,
            stored=stored,
            duplicate=batch.received - stored - rejected,
            rejected=rejected,
            errors=batch.errors,
        )
        return 200, msgspec.json.encode(receipt)


def _handler(collector: FakeCollector) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            answer = collector.answer(self.path, self.headers, body)
            if answer is None:
                self.close_connection = True
                return
            status, said = answer
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(said)))
            if status in {429, 503}:
                self.send_header("Retry-After", "0")
            self.end_headers()
            self.wfile.write(said)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    return Handler
