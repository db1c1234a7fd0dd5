from __future__ import annotations

import json
import uuid
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
from flask import Flask, request

from support.readme import ReadMe
from tollkeeper.errors import ConfigurationError
from tollkeeper.events.event import Client, Consumer, UsageEvent
from tollkeeper.flask import Tollkeeper
from tollkeeper.sinks.readme import ReadMeSink
from tollkeeper.sinks.url import sink_from_url

if TYPE_CHECKING:
    from collections.abc import Iterator

TIME = datetime(2024, 5, 4, 10, 0, 0, 999_000, tzinfo=UTC)


@pytest.fixture
def service() -> Iterator[ReadMe]:
    made = ReadMe()
    yield made
    made.stop()


def event(**fields: Any) -> UsageEvent:
    base: dict[str, Any] = {"id": "1", "source": "s", "time": TIME, "method": "GET", "path": "/", "status_code": 200}
    return UsageEvent(**(base | fields))


def entry(log: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = log["request"]["log"]["entries"][0]
    return found


def test_any_door_may_send_to_readme(service: ReadMe) -> None:
    app = Flask("shop")

    @app.post("/orders")
    def order() -> dict[str, Any]:
        return {"city": request.form["city"], "password": "s3cret"}

    url = service.url.replace("http://", "readme://KEY@") + "?development=true&tls=false"
    keeper = Tollkeeper(app, sink=url, identify=lambda _: {"key": "owlbert-api-key", "label": "Owlbert"})
    form = {"city": ["Berlin", "Bonn"], "password": "1"}
    app.test_client().post("/orders?b=2&a=1&b=3&c=", data=form, headers={"Authorization": "Bearer abc"}, buffered=True)
    assert keeper.close()
    (log,) = service.logs
    assert service.posts[0].headers["Authorization"] == "Basic S0VZOg=="
    assert log["development"] is True
    assert log["group"] == {
        "id": "sha512-u2GbQ83jIqNa+a8v110+8IDztQQr4joL1xSE+wFH51zSOA1qQKPwOC8t2n2LWJQA1mX4ZLZ45SEokITzLed/ow==?-key",
        "label": "Owlbert",
    }
    sent, answered = entry(log)["request"], entry(log)["response"]
    assert sent["url"] == "http://localhost/orders?b=2&a=1&b=3&c="
    assert [tuple(pair.values()) for pair in sent["queryString"]] == [("b", "2"), ("b", "3"), ("a", "1")]
    assert "abc" not in json.dumps(sent["headers"])
    assert [tuple(pair.values()) for pair in sent["postData"]["params"]] == [
        ("city", "Berlin"),
        ("city", "Bonn"),
        ("password", "[REDACTED]"),
    ]
    assert (answered["status"], answered["statusText"]) == (200, "OK")
    assert json.loads(answered["content"]["text"]) == {"city": "Berlin", "password": "[REDACTED]"}
    assert answered["content"]["mimeType"] == "application/json"


def test_the_id_is_the_same_whenever_an_event_is_sent(service: ReadMe) -> None:
    known = str(uuid.uuid4())
    sink = ReadMeSink("key", base_url=service.url)
    for _ in range(2):
        sink.send([event(id=known), event(id="mine"), event(id="mine", source="other")])
    sink.close()
    assert len(service.taken) == 3
    assert set(service.taken.values()) == {2}
    assert known in service.taken
    assert all(uuid.UUID(identifier) for identifier in service.taken)


def test_what_an_event_does_not_tell_has_a_default(service: ReadMe) -> None:
    sink = ReadMeSink("key", base_url=service.url)
    sink.send([event(status_code=799, consumer=Consumer(key="a")), event(client=Client(remote_address="192.0.2.1"))])
    sink.close()
    bare, anonymous = service.logs
    assert bare["group"].keys() == {"id"}
    assert bare["clientIPAddress"] is None
    assert anonymous["group"]["label"] == "anonymous"
    assert anonymous["clientIPAddress"] == "192.0.2.1"
    assert entry(bare)["startedDateTime"] == "2024-05-04T10:00:00Z"
    assert entry(bare)["time"] == 0
    assert entry(bare)["request"] == {
        "method": "GET",
        "url": "/",
        "httpVersion": "HTTP/1.1",
        "headers": [],
        "headersSize": -1,
        "queryString": [],
        "cookies": [],
        "bodySize": -1,
    }
    assert entry(bare)["response"]["statusText"] == ""


def test_bodies_are_told_as_text(service: ReadMe) -> None:
    app = Flask("shop")
    app.add_url_rule("/", view_func=lambda: request.get_data(), methods=["POST"])  # noqa: PLW0108 - no request yet
    keeper = Tollkeeper(app, sink=ReadMeSink("key", base_url=service.url))
    bodies = [("text/plain", b"hello"), ("application/json", b'{"a": [1]}'), ("image/png", b"\xff")]
    for kind, body in bodies:
        app.test_client().post("/", data=body, content_type=kind, buffered=True)
    app.test_client().post("/", data={"file": (__file__, "name")}, content_type="multipart/form-data", buffered=True)
    app.test_client().post("/", data=b"[1]", content_type="application/x-www-form-urlencoded", buffered=True)
    assert keeper.close()
    sent = [entry(log)["request"]["postData"] for log in service.logs]
    assert [post.get("text") for post in sent] == ["hello", '{"a":[1]}', "", "", None]
    assert sent[4] == {"mimeType": "application/x-www-form-urlencoded", "params": []}


@pytest.mark.parametrize(
    "url", ["readme://KEY@", "readme://KEY@metrics.readme.io", "readme://KEY@metrics.readme.io?timeout=5&tls=true"]
)
def test_without_a_host_it_is_readmes(url: str) -> None:
    sink: Any = sink_from_url(url)
    assert sink._connection.shown == "https://metrics.readme.io/v1/request"
    assert sink.rejected == 0


@pytest.mark.parametrize(
    "url",
    [
        "readme://metrics.readme.io",
        "readme://s3cret@host?development=maybe",
        "readme://s3cret@host?timeout=soon",
        "readme://s3cret@host?colour=blue",
        "readme://s3cret@host/path",
        "readme://s3cret@host?timeout=0",
        "readme://s3cret@host:port",
    ],
)
def test_a_wrong_url_is_refused_without_the_key(url: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        sink_from_url(url)
    assert "s3cret" not in str(caught.value)
    assert any(word in str(caught.value) for word in ("readme://KEY", "timeout", "HOST:PORT"))


def test_nobody_is_asked_without_a_key() -> None:
    with pytest.raises(ConfigurationError, match="API key"):
        ReadMeSink("")


def test_an_event_that_is_no_text_is_counted_and_the_others_are_sent(service: ReadMe) -> None:
    sink = ReadMeSink("key", base_url=service.url)
    sink.send([event(id="1"), event(id="2", path="half of a pair: \ud83d"), event(id="3")])
    sink.close()
    assert len(service.logs) == 2
    assert sink.rejected == 1
