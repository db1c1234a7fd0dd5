from __future__ import annotations

import gzip
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import msgspec
import pytest

from tollkeeper.errors import AuthenticationError, ConfigurationError, PermissionDeniedError, SinkError
from tollkeeper.events.codec import DecodedBatch, decode_batch
from tollkeeper.events.event import UsageEvent
from tollkeeper.events.receipt import EventError, Receipt
from tollkeeper.service.remote import remote_delivery

EVENTS = [
    UsageEvent(
        id=str(place), source="s", time=datetime(2015, 5, 17, tzinfo=UTC), method="GET", path="/", status_code=200
    )
    for place in range(5)
]
BATCH = DecodedBatch(5, EVENTS, [])
TAKEN = Receipt(received=5, stored=5, duplicate=0, rejected=0)
Answers = Callable[[DecodedBatch], tuple[int, object]]


@contextmanager
def service(answer: Answers, token: str = "s3", **headers: str) -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            assert self.path == "/base/v1/events"
            assert self.headers["Authorization"].strip() == f"Bearer {token}".strip()
            body = self.rfile.read(int(self.headers["Content-Length"]))
            assert gzip.decompress(body)
            status, content = answer(decode_batch(body, source="", encoding=self.headers["Content-Encoding"]))
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name.replace("_", "-"), value)
            self.end_headers()
            self.wfile.write(msgspec.json.encode(content))

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/base/"
        finally:
            server.shutdown()
            thread.join(5)


def test_a_batch_is_posted_and_its_receipt_read() -> None:
    got = []

    def answer(batch: DecodedBatch) -> tuple[int, object]:
        got.append(batch)
        return 200, TAKEN

    with service(answer) as url:
        assert remote_delivery(url, "s3")(BATCH) == TAKEN
    assert got == [BATCH]


def test_a_busy_service_is_asked_again_after_the_time_that_it_names() -> None:
    answers, waits = [(503, {}), (429, {}), (200, TAKEN)], list[float]()
    with service(lambda _: answers.pop(0), Retry_After="3") as url:
        assert remote_delivery(url, "s3", sleep=waits.append)(BATCH) == TAKEN
    assert waits == [3.0, 3.0]


def test_a_service_that_stays_away_is_given_up_with_growing_waits() -> None:
    waits = list[float]()
    with service(lambda _: (200, TAKEN)) as url:
        pass
    with pytest.raises(SinkError, match="after 8 attempts"):
        remote_delivery(url, "s3", sleep=waits.append)(BATCH)
    assert waits == [0.5, 1, 2, 4, 8, 16, 30]


def test_a_batch_that_is_too_large_goes_in_halves_and_errors_keep_their_place() -> None:
    def answer(batch: DecodedBatch) -> tuple[int, object]:
        size = len(batch.events)
        if size > 2:
            return 413, {}
        error = [EventError(0, "odd", batch.events[0].id)] if batch.events[0].id == "3" else []
        return 200, Receipt(received=size, stored=size - len(error), duplicate=0, rejected=len(error), errors=error)

    with service(answer) as url:
        receipt = remote_delivery(url, "s3")(BATCH)
    assert receipt == Receipt(received=5, stored=4, duplicate=0, rejected=1, errors=[EventError(3, "odd", "3")])


@pytest.mark.parametrize(
    ("status", "kind"),
    [(401, AuthenticationError), (403, PermissionDeniedError), (404, SinkError), (307, SinkError), (200, SinkError)],
)
def test_an_answer_that_repeating_cannot_help_is_an_error_at_once(status: int, kind: type[Exception]) -> None:
    calls = []

    def answer(batch: DecodedBatch) -> tuple[int, object]:
        calls.append(batch)
        return status, {"detail": "no"}

    with service(answer, Location="http://127.0.0.1:1/") as url, pytest.raises(kind) as caught:
        remote_delivery(url, "s3")(BATCH)
    assert len(calls) == 1
    assert "{" not in str(caught.value)
    assert f"{status}: no" in str(caught.value) or status == 200


def test_without_a_token_a_refusal_says_where_to_give_one() -> None:
    with service(lambda _: (401, {"detail": "no"}), token="") as url, pytest.raises(AuthenticationError) as caught:
        remote_delivery(url, "")(BATCH)
    assert caught.value.detail.endswith("Give --token or TOLLKEEPER_TOKEN, of the scope ingest.")


@pytest.mark.parametrize("url", ["ftp://host", "host:80", "http://", ""])
def test_an_address_that_is_none_is_refused_at_once(url: str) -> None:
    with pytest.raises(ConfigurationError, match="not the address of a service"):
        remote_delivery(url, "s3")
