from __future__ import annotations

import sys
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from support.children import in_child
from support.receiver import Receiver
from support.servers.influxdb import InfluxDB, influxdb
from support.usage import full_event, make_event, make_events
from tollkeeper.errors import ConfigurationError, SinkError
from tollkeeper.sinks.influxdb import InfluxDBSink

if TYPE_CHECKING:
    from collections.abc import Iterator

# Sinks survive a fork, whatever threads there are.
pytestmark = pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")


@pytest.fixture(scope="module")
def server() -> InfluxDB:
    return influxdb()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    made = Receiver()
    yield made
    made.stop()


@pytest.fixture
def faulty(receiver: Receiver) -> Iterator[InfluxDBSink]:
    with closing(InfluxDBSink(receiver.url, token="secret", org="o", bucket="b", timeout=5)) as sink:
        yield sink


def test_events_are_points_that_can_be_read_back(server: InfluxDB) -> None:
    url = server.fresh_bucket()
    with closing(InfluxDBSink.from_url(url)) as sink:
        sink.send([full_event(), make_event(), make_event("odd", route='/ü,a= "\\', source="a b")])
    points = {point["id"]: point for point in server.points(url)}
    assert len(points) == 3
    full = points["full"]
    assert full["time"] // 1_000_000 == full_event().time_us // 1000
    told = {name: full[name] for name in full if name not in {"id", "time"}}
    assert told == {
        "method": "POST",
        "route": "/orders/{id}",
        "status_code": "500",
        "api": "shop",
        "api_version": "2",
        "source": "app",
        "elapsed_time": 0.25,
        "first_byte_time": 0.125,
        "request_size": 20,
        "response_size": 3000,
        "units": 2.5,
        "consumer": "ann",
        "error": "builtins.ValueError",
    }
    assert (points["odd"]["route"], points["odd"]["source"]) == ('/ü,a= "/', "a b")


def test_sending_again_changes_nothing_and_close_can_be_undone(server: InfluxDB) -> None:
    url = server.fresh_bucket()
    sink = InfluxDBSink.from_url(url)
    for _ in range(2):
        sink.send(make_events(300))
        sink.close()
        sink.close()
    assert sorted(int(point["id"]) for point in server.points(url)) == list(range(300))


def test_points_that_the_database_will_not_take_are_counted(server: InfluxDB, caplog: pytest.LogCaptureFixture) -> None:
    url = server.fresh_bucket()
    with closing(InfluxDBSink.from_url(url)) as sink:
        # Somebody else's, by which a size is no integer here.
        others = b"usage_events request_size=1.5 %d" % (full_event().time_us * 1000)
        assert sink._write({("app", "1"): others}, [make_event()]) is None
        sink.send([*make_events(9), full_event(), make_event("last")])
        assert sink.rejected == 1
    assert "field type conflict" in caplog.text
    assert len(server.points(url)) == 11


def test_a_bad_line_is_found_by_halving(receiver: Receiver, faulty: InfluxDBSink) -> None:
    receiver.answer = lambda taken: (
        (400, {}, b'{"message": "unable to parse"}') if b'"3"' in taken.body else (204, {}, b"")
    )
    faulty.send(make_events(8))
    assert faulty.rejected == 1
    taken = {line for request in receiver.requests for line in request.body.splitlines()}
    assert len(taken) == 8
    assert receiver.requests[0].headers["Authorization"] == "Token secret"
    assert receiver.requests[0].target == "/api/v2/write?org=o&bucket=b&precision=ns"


@pytest.mark.parametrize(
    ("status", "body", "rejected"),
    [
        (400, b"partial write: field type conflict: x dropped=2", 2),
        (422, b"partial write: points beyond retention policy dropped=3", 3),
        (400, b"partial write: unable to parse 'x' dropped=0", 3),
        (413, b"", 3),
    ],
)
def test_what_was_not_taken_is_counted(
    receiver: Receiver, faulty: InfluxDBSink, status: int, body: bytes, rejected: int
) -> None:
    receiver.answer = lambda _: (status, {}, body)
    faulty.send(make_events(3))
    assert faulty.rejected == rejected


@pytest.mark.parametrize(
    ("status", "message"), [(401, "the token is wrong"), (403, "may not write"), (404, "make it first"), (302, "302")]
)
def test_what_the_operator_must_put_right_is_waited_for(
    receiver: Receiver, faulty: InfluxDBSink, status: int, message: str
) -> None:
    receiver.replies = [(status, {}, b"")]
    with pytest.raises(SinkError, match=message) as caught:
        faulty.send(make_events(1))
    assert caught.value.retry
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("status", [429, 500, 503])
def test_some_refusals_pass(receiver: Receiver, faulty: InfluxDBSink, status: int) -> None:
    receiver.replies = [(status, {"Retry-After": "7"}, b"")]
    with pytest.raises(SinkError) as caught:
        faulty.send(make_events(1))
    assert (caught.value.retry, caught.value.retry_after) == (True, 7)


def test_nobody_is_there(receiver: Receiver, faulty: InfluxDBSink) -> None:
    receiver.stop()
    with pytest.raises(SinkError, match="Is InfluxDB running") as caught:
        faulty.send(make_events(1))
    assert caught.value.retry
    receiver.start()
    faulty.send(make_events(1))
    assert len(receiver.requests) == 1


def test_a_server_that_speaks_no_tls(receiver: Receiver) -> None:
    address = receiver.url.replace("http:", "https:")
    sink = InfluxDBSink(address, token="secret", org="o", bucket="b", timeout=2)
    with pytest.raises(SinkError) as caught:
        sink.send(make_events(1))
    assert caught.value.retry
    assert "secret" not in str(caught.value)


def test_a_child_of_a_fork_has_connections_of_its_own(receiver: Receiver, faulty: InfluxDBSink) -> None:
    faulty.send(make_events(1))
    assert in_child(lambda: faulty.send(make_events(2))) == 0
    faulty.send(make_events(3))
    assert [len(taken.body.splitlines()) for taken in receiver.requests] == [1, 2, 3]
    assert receiver.connections == 2


@pytest.mark.parametrize(
    "url",
    [
        "influxdb://:secret@host/o/b",
        "influxdb+http://host:8086/o/b",
        "influxdb+http://:secret@host/b",
        "influxdb+http://:secret@host/o/b/c",
        "influxdb+http://:secret@host//b",
        "influxdb+http://:secret@/o/b",
        "influxdb+http://:secret@host:x/o/b",
        "influxdb+ftp://:secret@host/o/b",
    ],
)
def test_a_url_of_another_form_is_refused_with_the_right_one(url: str) -> None:
    with pytest.raises(ConfigurationError, match=r"influxdb\+http://:TOKEN@HOST:8086/ORG/BUCKET") as caught:
        InfluxDBSink.from_url(url)
    assert "secret" not in str(caught.value)


def test_without_the_client(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "influxdb_client", None)
    with pytest.raises(ConfigurationError, match=r"pip install 'tollkeeper\[influxdb\]'"):
        InfluxDBSink.from_url("influxdb+http://:secret@host/o/b")
