from __future__ import annotations

import base64
import json
import socket
from contextlib import ExitStack, closing
from typing import TYPE_CHECKING, Any

import pytest
from standardwebhooks import Webhook, WebhookVerificationError

from support.receiver import Receiver, Reply, Taken
from support.usage import full_event, make_event, make_events
from tollkeeper.errors import ConfigurationError, SinkError
from tollkeeper.events.codec import decode_batch
from tollkeeper.sinks.collector import CollectorSink
from tollkeeper.sinks.http import HTTPSink
from tollkeeper.sinks.influxdb import InfluxDBSink
from tollkeeper.sinks.otlp import OTLPSink
from tollkeeper.sinks.webhook import message_id

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from tollkeeper.events.event import UsageEvent

OLD = "whsec_" + base64.b64encode(b"o" * 32).decode()
NEW = "whsec_" + base64.b64encode(b"n" * 24).decode()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    made = Receiver()
    yield made
    made.stop()


@pytest.fixture
def make(receiver: Receiver) -> Iterator[Callable[..., HTTPSink]]:
    with ExitStack() as stack:

        def made(**options: Any) -> HTTPSink:
            sink = HTTPSink(receiver.url, **options)
            stack.callback(sink.close)
            return sink

        yield made


def at_most(count: int) -> Callable[[Taken], Reply]:
    return lambda taken: (413 if len(json.loads(taken.body)) > count else 204, {}, b"")


def test_a_batch_is_an_array_of_events_over_one_connection(receiver: Receiver) -> None:
    sink = HTTPSink(f"{receiver.url}/hook?for=us")
    sink.send([full_event(), make_event()])
    sink.send(make_events(3))
    sink.close()
    taken = receiver.requests[0]
    assert (taken.method, taken.target, taken.headers["Content-Type"]) == ("POST", "/hook?for=us", "application/json")
    assert decode_batch(taken.body, source="other").events == [full_event(), make_event()]
    assert receiver.connections == 1
    assert "webhook-signature" not in taken.headers
    sink.send([])
    assert len(receiver.requests) == 2


def test_what_is_sent_is_the_users_to_say(receiver: Receiver, make: Callable[..., HTTPSink]) -> None:
    def payload(batch: Sequence[UsageEvent]) -> object:
        return {"text": f"{len(batch)} calls"}

    headers = {"X-Key": "k", "user-agent": "shop"}
    make(method="PUT", headers=headers, payload=payload).send(make_events(2))
    make(headers={"Content-Type": "text/plain"}, payload=lambda _: b"raw").send(make_events(2))
    first, second = receiver.requests
    assert (first.method, first.target, json.loads(first.body)) == ("PUT", "/", {"text": "2 calls"})
    assert (first.headers["X-Key"], first.headers.get_all("User-Agent")) == ("k", ["shop"])
    assert (second.headers["Content-Type"], second.body) == ("text/plain", b"raw")


def test_one_event_a_request(receiver: Receiver, make: Callable[..., HTTPSink]) -> None:
    make(one_event_a_request=True).send(make_events(2))
    make(one_event_a_request=True, payload=len).send(make_events(1))
    assert [json.loads(taken.body) for taken in receiver.requests] == [
        *(event.document() for event in make_events(2)),
        1,
    ]
    assert len({taken.headers["Idempotency-Key"] for taken in receiver.requests[:2]}) == 2


def test_an_event_of_which_no_payload_can_be_made_costs_no_other(
    receiver: Receiver, make: Callable[..., HTTPSink], caplog: pytest.LogCaptureFixture
) -> None:
    def payload(batch: Sequence[UsageEvent]) -> object:
        return object() if any(event.id == "secret" for event in batch) else len(batch)

    sink = make(payload=payload)
    sink.send([*make_events(3), make_event("secret")])
    assert sum(json.loads(taken.body) for taken in receiver.requests) == 3
    assert sink.rejected == 1
    assert "no payload can be made of it (TypeError)" in caplog.text
    assert "secret" not in caplog.text


def test_signatures_are_those_of_standard_webhooks(receiver: Receiver, make: Callable[..., HTTPSink]) -> None:
    make(secrets=[OLD, NEW]).send([full_event(path="/ü")])
    taken = receiver.requests[0]
    headers = dict(taken.headers)
    for secret in (OLD, NEW):
        assert Webhook(secret).verify(taken.body, headers)
    assert headers["webhook-signature"].count("v1,") == 2
    with pytest.raises(WebhookVerificationError):
        Webhook("whsec_" + base64.b64encode(b"x" * 32).decode()).verify(taken.body, headers)
    with pytest.raises(WebhookVerificationError):
        Webhook(OLD).verify(taken.body + b" ", headers)


@pytest.mark.parametrize("secret", ["", "whsec_", "whsec_!!!", "whsec_" + "A" * 8, "whsec_" + "A" * 400, "whsec_ä"])
def test_a_secret_that_is_none_is_refused_unshown(secret: str) -> None:
    with pytest.raises(ConfigurationError, match="base64 of 24 to 64 bytes") as caught:
        HTTPSink("https://shop.example", secrets=[secret])
    assert not secret.removeprefix("whsec_") or secret not in str(caught.value)


def test_a_retry_has_the_same_id_and_a_new_time(
    receiver: Receiver, make: Callable[..., HTTPSink], monkeypatch: pytest.MonkeyPatch
) -> None:
    receiver.replies = [(500, {}, b"")]
    sink = make(secrets=[OLD])
    monkeypatch.setattr("time.time", lambda: 1_700_000_000.9)
    with pytest.raises(SinkError):
        sink.send(make_events(3))
    monkeypatch.setattr("time.time", lambda: 1_700_000_030.0)
    sink.send(make_events(3))
    sink.send(make_events(2))
    first, second, third = (taken.headers for taken in receiver.requests)
    assert first["webhook-id"] == second["webhook-id"] == second["Idempotency-Key"] == message_id(make_events(3))
    assert third["webhook-id"] != first["webhook-id"]
    assert (first["webhook-timestamp"], second["webhook-timestamp"]) == ("1700000000", "1700000030")


def test_ids_do_not_run_into_one_another() -> None:
    batches = [
        [make_event("b", source="a")],
        [make_event("", source="ab")],
        [make_event("ab", source="")],
        [make_event("b", source="a"), make_event("b", source="a")],
    ]
    assert len({message_id(batch) for batch in batches}) == len(batches)


@pytest.mark.parametrize("status", [408, 425, 429, 500, 503])
def test_some_refusals_pass(receiver: Receiver, make: Callable[..., HTTPSink], status: int) -> None:
    receiver.replies = [(status, {"Retry-After": "7"}, b"")]
    with pytest.raises(SinkError, match=str(status)) as caught:
        make().send(make_events(1))
    assert caught.value.retry
    assert caught.value.retry_after == 7


@pytest.mark.parametrize(
    ("reply", "message"),
    [
        ((400, {}, b"no such field"), "no such field"),
        ((401, {}, b"who are you"), "who are you"),
        ((304, {}, b""), "304"),
        ((302, {"Location": "/hidden"}, b""), "moved to another path: set"),
        ((302, {"Location": "https://[hidden/"}, b""), "moved to another address: set"),
        (
            (302, {"Location": "https://me:hidden@other.example/hidden"}, b""),
            r"moved to https://other\.example: set",
        ),
    ],
)
def test_other_refusals_say_why_and_wait_for_the_operator_unless_the_events_are_wrong(
    receiver: Receiver, make: Callable[..., HTTPSink], reply: Reply, message: str
) -> None:
    receiver.replies = [reply]
    with pytest.raises(SinkError, match=message) as caught:
        make().send(make_events(2))
    assert caught.value.retry is (reply[0] != 400)
    assert "hidden" not in str(caught.value)
    assert len(receiver.requests) == 1


def test_the_user_says_what_success_is(receiver: Receiver, make: Callable[..., HTTPSink]) -> None:
    receiver.replies = [(409, {}, b""), (200, {}, b"")]
    sink = make(success={202, 409})
    sink.send(make_events(1))
    with pytest.raises(SinkError):
        sink.send(make_events(1))


def test_what_is_too_large_is_halved(
    receiver: Receiver, make: Callable[..., HTTPSink], caplog: pytest.LogCaptureFixture
) -> None:
    receiver.answer = at_most(2)
    sink = make()
    sink.send(make_events(7))
    sent = [event["id"] for taken in receiver.requests for event in json.loads(taken.body)]
    assert sorted(set(sent)) == [str(number) for number in range(7)]
    receiver.answer = at_most(0)
    sink.send(make_events(1))
    assert sink.rejected == 1
    assert "too large" in caplog.text


def test_alone_an_event_may_be_refused(
    receiver: Receiver, make: Callable[..., HTTPSink], caplog: pytest.LogCaptureFixture
) -> None:
    receiver.replies = [(422, {}, b"odd"), (201, {}, b""), (400, {}, b"odd")]
    sink = make(one_event_a_request=True)
    sink.send(make_events(3))
    assert sink.rejected == 2
    assert "odd" in caplog.text
    receiver.replies = [(400, {}, b"odd"), (401, {}, b"")]
    with pytest.raises(SinkError):
        sink.send(make_events(3))
    assert sink.rejected == 2  # of a batch that is sent again, or dropped as a whole, none is counted here


def test_a_connection_that_was_closed_is_made_anew(receiver: Receiver, make: Callable[..., HTTPSink]) -> None:
    sink = make()
    sink.send(make_events(1))
    receiver.replies = [None]
    sink.send(make_events(2))
    receiver.stop()
    with pytest.raises(SinkError, match="does not answer") as caught:
        sink.send(make_events(3))
    assert caught.value.retry
    receiver.start()
    sink.send(make_events(3))
    assert [len(json.loads(taken.body)) for taken in receiver.requests] == [1, 2, 2, 3]


def test_nobody_is_there() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        sink = HTTPSink.from_url(f"post+http://me:secret@127.0.0.1:{unused.getsockname()[1]}/")
        with pytest.raises(SinkError, match="listen there") as caught:
            sink.send(make_events(1))
    assert caught.value.retry
    assert "secret" not in str(caught.value)


def test_urls(receiver: Receiver) -> None:
    quoted = OLD.replace("+", "%2B").replace("/", "%2F").replace("=", "%3D")
    urls = {
        receiver.url: None,
        receiver.url.replace("//", "//me:p%40ss@"): "Basic bWU6cEBzcw==",
        receiver.url.replace("//", f"//:{quoted}@"): None,
    }
    for url, authorization in urls.items():
        with closing(HTTPSink.from_url(f"post+{url}/in?a=1")) as sink:
            sink.send(make_events(1))
        taken = receiver.requests[-1]
        assert taken.target == "/in?a=1"
        assert taken.headers["Authorization"] == authorization
    assert Webhook(OLD).verify(receiver.requests[-1].body, dict(receiver.requests[-1].headers))


@pytest.mark.parametrize(
    "url",
    [
        "https://me:secret@shop.example/",
        "post+ftp://me:secret@shop.example/",
        "post+https:///secret",
        "post+https://me:secret@shop.example:http/",
        "post+https://me:secret@[shop.example/",
        "post+https://me:secret@shop.example/a b",
        "post+https://me:secret@shop.example/ü",
        "post+https://me:secret@shop.example/\x01",
        "put+https://me:secret@shop.example/",
    ],
)
def test_a_url_of_another_form_is_refused_with_the_right_one(url: str) -> None:
    with pytest.raises(ConfigurationError, match="https://HOST") as caught:
        HTTPSink.from_url(url)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("value", ["Bearer hidden\n", "hidden\r\nX: y", "hidden…", "\x00hidden"])
def test_a_header_that_cannot_be_sent_is_refused_unshown(value: str) -> None:
    for make in (
        lambda: HTTPSink("https://shop.example", headers={"X-Key": value}),
        lambda: CollectorSink("https://shop.example", token=value),
        lambda: OTLPSink("https://shop.example", headers={"X-Key": value}),
        lambda: InfluxDBSink("https://shop.example", token=value, org="o", bucket="b"),
    ):
        with pytest.raises(ConfigurationError, match="line break") as caught:
            make()
        assert "hidden" not in str(caught.value)
    with pytest.raises(ConfigurationError, match="'X Key'"):
        HTTPSink("https://shop.example", headers={"X Key": "1"})


def test_events_are_posted_or_put() -> None:
    with pytest.raises(ConfigurationError, match="POST or PUT"):
        HTTPSink("https://shop.example", method="GET")
