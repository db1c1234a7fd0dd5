from __future__ import annotations

import socket
import sys
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest
from msgspec import Raw
from opentelemetry import trace
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.sdk.resources import Resource

from support.children import in_child
from support.receiver import Receiver
from support.usage import START, full_event, make_event, make_events
from tollkeeper.errors import ConfigurationError, SinkError
from tollkeeper.events.event import Request
from tollkeeper.sinks.otlp import OTLPSink

if TYPE_CHECKING:
    from collections.abc import Iterator

    from opentelemetry.proto.trace.v1.trace_pb2 import Span

    from tollkeeper.events.event import UsageEvent


# Sinks survive a fork, whatever threads there are.
pytestmark = pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    made = Receiver()
    yield made
    made.stop()


@pytest.fixture
def sink(receiver: Receiver) -> Iterator[OTLPSink]:
    with closing(OTLPSink(receiver.url, timeout=5)) as made:
        yield made


def parts(receiver: Receiver) -> list[list[Span]]:
    requests = [ExportTraceServiceRequest.FromString(taken.body) for taken in receiver.requests]
    return [
        [span for resource in request.resource_spans for scope in resource.scope_spans for span in scope.spans]
        for request in requests
    ]


def spans(receiver: Receiver) -> list[Span]:
    return [span for part in parts(receiver) for span in part]


def sent(receiver: Receiver, sink: OTLPSink, event: UsageEvent) -> Span:
    sink.send([event])
    return spans(receiver)[-1]


def told(attributes: Any) -> dict[str, object]:
    return {pair.key: getattr(pair.value, str(pair.value.WhichOneof("value"))) for pair in attributes}


def test_an_event_is_a_server_span_by_the_conventions(receiver: Receiver, sink: OTLPSink) -> None:
    span = sent(receiver, sink, full_event())
    start = full_event().time_us * 1000
    assert (span.name, span.kind, span.status.code) == ("POST /orders/{id}", span.SPAN_KIND_SERVER, 2)
    assert (span.start_time_unix_nano, span.end_time_unix_nano) == (start, start + 250_000_000)
    assert told(span.attributes) == {
        "http.request.method": "POST",
        "http.route": "/orders/{id}",
        "http.response.status_code": 500,
        "url.path": "/orders/7",
        "url.scheme": "https",
        "url.query": "page=2",
        "server.address": "shop.example",
        "server.port": 8443,
        "user_agent.original": "curl/8",
        "client.address": "192.0.2.7",
        "http.request.body.size": 20,
        "http.response.body.size": 3000,
        "error.type": "builtins.ValueError",
        "user.id": "ann",
        "tollkeeper.event.id": "full",
        "tollkeeper.units": 2.5,
        "tollkeeper.api": "shop",
        "tollkeeper.api.version": "2",
    }
    [exception] = span.events
    assert (exception.name, exception.time_unix_nano) == ("exception", span.end_time_unix_nano)
    assert told(exception.attributes) == {
        "exception.type": "builtins.ValueError",
        "exception.message": "boom",
        "exception.stacktrace": "Traceback: …",
    }
    taken = receiver.requests[0]
    assert (taken.target, taken.headers["Content-Type"]) == ("/v1/traces", "application/x-protobuf")
    assert taken.headers["Content-Encoding"] == "gzip"


def test_what_an_event_does_not_have_is_left_out(receiver: Receiver, sink: OTLPSink) -> None:
    span = sent(receiver, sink, make_event(route="(unmatched)", method="BREW", status_code=418, url="http://[odd"))
    assert (span.name, span.status.code, span.end_time_unix_nano) == ("HTTP", 0, span.start_time_unix_nano)
    assert told(span.attributes) == {
        "http.request.method": "_OTHER",
        "http.request.method_original": "BREW",
        "http.response.status_code": 418,
        "url.path": "/",
        "tollkeeper.event.id": "1",
        "tollkeeper.units": 1.0,
    }
    assert not span.events
    span = sent(receiver, sink, make_event(status_code=503))
    assert (span.status.code, told(span.attributes)["error.type"]) == (2, "503")


def test_the_source_is_the_service(receiver: Receiver, sink: OTLPSink, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment.name=test,service.name=other")
    sink.send(
        [make_event(1, source="a"), make_event(2, source="b"), make_event(3, source="a"), make_event(4, source="")]
    )
    [taken] = receiver.requests
    resources = ExportTraceServiceRequest.FromString(taken.body).resource_spans
    found = {str(told(part.resource.attributes)["service.name"]): len(part.scope_spans[0].spans) for part in resources}
    assert found == {"a": 2, "b": 1, "other": 1}
    assert {told(part.resource.attributes)["deployment.environment.name"] for part in resources} == {"test"}


def test_the_same_event_is_the_same_span(receiver: Receiver, sink: OTLPSink) -> None:
    events = [make_event(1), make_event(2), make_event(1, status_code=500), make_event(1, source="other")]
    sink.send(events)
    sink.send(events)
    ids = [(span.trace_id, span.span_id) for span in spans(receiver)]
    assert ids[:4] == ids[4:]
    assert ids[0] == ids[2]
    assert len({trace_id for trace_id, _ in ids}) == len({span_id for _, span_id in ids}) == 3
    assert not spans(receiver)[0].parent_span_id


def test_a_batch_is_sent_in_parts_each_span_once(
    receiver: Receiver, sink: OTLPSink, monkeypatch: pytest.MonkeyPatch
) -> None:
    found: list[Resource] = []

    def find() -> Resource:
        found.append(Resource({}))
        return found[-1]

    monkeypatch.setattr(Resource, "create", find)
    sink.send([make_event(number) for number in range(250)])
    assert [len(part) for part in parts(receiver)] == [100, 100, 50]
    assert len({span.span_id for span in spans(receiver)}) == 250
    assert len(found) == 1, "where it runs is found out once, as that starts threads"


def headed(headers: bytes) -> UsageEvent:
    return make_event(request=Request(headers=Raw(headers)))


@pytest.mark.parametrize(
    ("headers", "state"),
    [
        (f'{{"Traceparent": "00-{TRACE}-{SPAN}-01", "Tracestate": "a=1,b=2"}}', "a=1,b=2"),
        (f'{{"traceparent": "00-{TRACE}-{SPAN}-00", "tracestate": ["a=1", "b=2"]}}', "a=1,b=2"),
        (f'{{"TRACEPARENT": "cc-{TRACE}-{SPAN}-01-what-comes-later"}}', ""),
    ],
)
def test_the_callers_trace_is_continued(receiver: Receiver, sink: OTLPSink, headers: str, state: str) -> None:
    span = sent(receiver, sink, headed(headers.encode()))
    assert (span.trace_id.hex(), span.parent_span_id.hex(), span.trace_state) == (TRACE, SPAN, state)
    assert span.span_id.hex() != SPAN


@pytest.mark.parametrize(
    "headers",
    [
        "{}",
        '["traceparent"]',
        '{"traceparent": null}',
        f'{{"traceparent": "ff-{TRACE}-{SPAN}-01"}}',
        f'{{"traceparent": "00-{"0" * 32}-{SPAN}-01"}}',
        f'{{"traceparent": "00-{TRACE}-{"0" * 16}-01"}}',
        f'{{"traceparent": "00-{TRACE.upper()}-{SPAN}-01"}}',
        f'{{"traceparent": ["00-{TRACE}-{SPAN}-01", "00-{TRACE}-{SPAN}-01"]}}',
    ],
)
def test_a_trace_that_is_none_is_not_continued(receiver: Receiver, sink: OTLPSink, headers: str) -> None:
    span = sent(receiver, sink, headed(headers.encode()))
    assert not span.parent_span_id
    assert span.trace_id == sent(receiver, sink, make_event()).trace_id


def test_one_connection_and_close_can_be_undone(receiver: Receiver, sink: OTLPSink) -> None:
    for _ in range(3):
        sink.send(make_events(2))
    assert receiver.connections == 1
    sink.close()
    sink.close()
    sink.send(make_events(2))
    assert (receiver.connections, len(receiver.requests)) == (2, 4)
    assert type(trace.get_tracer_provider()).__name__ == "ProxyTracerProvider"  # none of the whole process


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504])
def test_some_refusals_pass_and_the_queue_is_told_at_once(receiver: Receiver, sink: OTLPSink, status: int) -> None:
    receiver.replies = [(status, {"Retry-After": "7"}, b"")]
    with pytest.raises(SinkError, match=str(status)) as caught:
        sink.send(make_events(1))
    assert (caught.value.retry, caught.value.retry_after) == (True, 7)
    assert len(receiver.requests) == 1
    sink.send(make_events(1))


@pytest.mark.parametrize(("status", "why"), [(400, "odd"), (401, "odd"), (302, "moved to https://other.example: ")])
def test_other_refusals_are_final_unless_the_operator_can_put_them_right(
    receiver: Receiver, sink: OTLPSink, status: int, why: str
) -> None:
    receiver.replies = [(status, {"Location": "https://other.example/"}, b"odd")]
    with pytest.raises(SinkError, match=why) as caught:
        sink.send(make_events(1))
    assert caught.value.retry is (status != 400)


def test_what_is_too_large_is_halved(receiver: Receiver, sink: OTLPSink, caplog: pytest.LogCaptureFixture) -> None:
    receiver.answer = lambda taken: (413 if len(taken.body) > 1000 else 200, {}, b"")
    sink.send([*make_events(20), make_event("long", path="/" + "x" * 2000)])
    found = {told(span.attributes)["tollkeeper.event.id"] for span in spans(receiver)}
    assert found == {str(number) for number in range(20)} | {"long"}
    assert sink.rejected == 1
    assert "too large" in caplog.text


def test_spans_that_the_collector_will_not_take_are_counted(
    receiver: Receiver, sink: OTLPSink, caplog: pytest.LogCaptureFixture
) -> None:
    answer = ExportTraceServiceResponse()
    answer.partial_success.rejected_spans = 2
    answer.partial_success.error_message = "no room"
    receiver.replies = [(200, {}, answer.SerializeToString())]
    sink.send(make_events(5))
    assert sink.rejected == 2
    assert "no room" in caplog.text


def test_an_answer_that_is_not_of_a_collector_is_no_success(receiver: Receiver, sink: OTLPSink) -> None:
    receiver.replies = [(200, {}, b"<html>hello</html>")]
    with pytest.raises(SinkError, match="is it a collector") as caught:
        sink.send(make_events(1))
    assert caught.value.retry


def test_an_event_that_is_no_span_costs_no_other(receiver: Receiver, sink: OTLPSink) -> None:
    sink.send([make_event(1), make_event(2, route="/\ud800"), make_event(3)])
    assert [told(span.attributes)["tollkeeper.event.id"] for span in spans(receiver)] == ["1", "3"]
    assert sink.rejected == 1


def test_nobody_is_there_then_somebody(receiver: Receiver, sink: OTLPSink) -> None:
    sink.send(make_events(1))
    receiver.stop()
    for _ in range(2):
        with pytest.raises(SinkError, match="Is the collector running") as caught:
            sink.send(make_events(1))
        assert caught.value.retry
    receiver.start()
    sink.send(make_events(2))
    assert len(spans(receiver)) == 3


def test_a_collector_that_hangs_is_given_up_after_the_timeout() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"http://127.0.0.1:{silent.getsockname()[1]}"
        with closing(OTLPSink(address, timeout=0.2)) as sink, pytest.raises(SinkError, match="ReadTimeout") as caught:
            sink.send(make_events(1))
    assert caught.value.retry


def test_a_child_of_a_fork_has_connections_of_its_own(receiver: Receiver, sink: OTLPSink) -> None:
    sink.send(make_events(1))
    assert in_child(lambda: sink.send(make_events(2))) == 0
    sink.send(make_events(3))
    assert receiver.connections == 2
    assert len(spans(receiver)) == 6


@pytest.mark.parametrize(
    ("userinfo", "path", "authorization"),
    [
        ("", "", None),
        ("", "/v1/traces", None),
        (":to%2Fken@", "/", "Bearer to/ken"),
        ("me:pass@", "", "Basic bWU6cGFzcw=="),
    ],
)
def test_urls(receiver: Receiver, userinfo: str, path: str, authorization: str | None) -> None:
    with closing(OTLPSink.from_url(f"otlp+{receiver.url.replace('//', '//' + userinfo)}{path}")) as sink:
        sink.send([make_event(time=START)])
    [taken] = receiver.requests
    assert (taken.target, taken.headers["Authorization"]) == ("/v1/traces", authorization)


@pytest.mark.parametrize(
    "url", ["http://:secret@host", "otlp://:secret@host", "otlp+grpc://:secret@host", "otlp+http://", "otlp+http://h:x"]
)
def test_a_url_of_another_form_is_refused_with_the_right_one(url: str) -> None:
    with pytest.raises(ConfigurationError, match=r"otlp\+http://HOST:4318") as caught:
        OTLPSink.from_url(url)
    assert "secret" not in str(caught.value)


def test_without_the_exporter(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "opentelemetry.exporter.otlp.proto.http.trace_exporter", None)
    with pytest.raises(ConfigurationError, match=r"pip install 'tollkeeper\[otlp\]'"):
        OTLPSink.from_url("otlp+http://host:4318")
