from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Raw

from tollkeeper.capture.document import Rules, build_event
from tollkeeper.capture.exchange import Exchange, RequestFacts
from tollkeeper.capture.failure import note_failure
from tollkeeper.capture.options import CaptureOptions, read_options
from tollkeeper.capture.redact import Redactor
from tollkeeper.events.codec import decode_batch, encode_batch
from tollkeeper.log import QuietLog

OPTIONS = read_options({})


def exchange(path: bytes = b"/users/7", *, facts: dict[str, Any] | None = None, **noted: Any) -> Exchange:
    told = RequestFacts(**({"method": "GET", "path": path, "scheme": "http", "host": "api.example"} | (facts or {})))
    made = Exchange("shop", (), lambda _: told, QuietLog(), None)
    made.time, made.status, made.detailed = 1_700_000_000.25, "200 OK", told.headers is not None
    for name, value in noted.items():
        setattr(made, name, value)
    return made


def document(made: Exchange, options: CaptureOptions = OPTIONS) -> dict[str, Any]:
    event = build_event(made, Rules(options, Redactor()))
    assert event is not None
    batch = decode_batch(encode_batch([event]), source="x")
    assert batch.events == [event]
    assert not batch.errors
    return event.document()


def json_body(body: bytes, **noted: Any) -> dict[str, Any]:
    facts = {"content_type": "application/json", "headers": [], "content_length": len(body)}
    shown: dict[str, Any] = document(exchange(facts=facts, request_body=body, **noted))["request"]
    return shown


def test_all_fields_of_an_exchange() -> None:
    shown = document(
        exchange(
            facts={
                "query": "q=a&token=x",
                "referer": "http://r/?sid=1",
                "origin": "http://o",
                "authorization": "Bearer t",
                "peer": "10.0.0.1",
                "user_agent": "curl/8.5.0",
                "content_type": "Application/JSON; charset=utf-8",
                "content_length": 40,
                "headers": [("Accept", "*/*")],
            },
            route="/users/{id}",
            request_body=b'{"pin": 1, "n": 12345678901234567890123}',
            response_size=3,
            response_headers=[("Content-Type", "text/html"), ("X", "1"), ("X", "2")],
            elapsed=0.5,
            first_byte=0.25,
            api="a",
            api_version="1",
            units=Decimal("2.5"),
            variables={"cart": Raw(b'{"items": 3, "token": "x"}'), "plan": "gold"},
        )
    )
    assert shown.pop("id")
    assert shown == {
        "source": "shop",
        "time": "2023-11-14T22:13:20.250000Z",
        "method": "GET",
        "path": "/users/7",
        "route": "/users/{id}",
        "url": "http://api.example/users/7?q=a&token=[REDACTED]",
        "status_code": 200,
        "consumer": {"key": shown["consumer"]["key"]},
        "api": "a",
        "api_version": "1",
        "units": "2.5",
        "variables": {"cart": {"items": 3, "token": "[REDACTED]"}, "plan": "gold"},
        "client": {
            "referer": "http://r/?sid=[REDACTED]",
            "origin": "http://o",
            "authorization": "Bearer [REDACTED]",
            "remote_address": "10.0.0.1",
            "user_agent": "curl/8.5.0",
            "browser": "curl 8.5.0",
        },
        "request": {
            "elapsed_time": 0.5,
            "content_length": 40,
            "mimetype": "application/json",
            "headers": {"Accept": "*/*"},
            "args": {"q": "a", "token": "[REDACTED]"},
            "body": {"pin": "[REDACTED]", "n": 12345678901234567890123},
        },
        "response": {
            "first_byte_time": 0.25,
            "content_length": 3,
            "mimetype": "text/html",
            "headers": {"Content-Type": "text/html", "X": ["1", "2"]},
        },
    }


@pytest.mark.parametrize("body", [b"{", b"\xff\xfe", b"", b"1e999", b'{"a": 1} trailing'])
def test_a_body_that_is_no_json_makes_no_trouble(body: bytes) -> None:
    shown = json_body(body)
    assert shown["content_length"] == len(body)
    assert shown.get("body") in (None, body.decode("latin-1"))


def test_a_body_that_was_cut_shows_its_beginning_and_says_so() -> None:
    facts = {"content_type": "application/json", "headers": [], "content_length": 5000}
    shown = document(exchange(facts=facts, request_body=b'{"id": 7, "password": "hunt'))["request"]
    assert shown == {
        "elapsed_time": 0.0,
        "content_length": 5000,
        "mimetype": "application/json",
        "headers": {},
        "body": {"id": 7},
        "body_truncated": True,
    }


def test_a_path_that_is_not_utf_8() -> None:
    shown = document(exchange(b"/caf\xe9"))
    assert shown["path"] == "/caf\ufffd"
    assert shown["url"] == "http://api.example/caf%E9"
    assert shown["route"] == "(unmatched)"


def test_the_function_of_the_app_is_told_where_each_value_stands() -> None:
    seen: dict[str, Any] = {}

    def look(path: str, value: Any) -> Any:
        seen[path] = value
        return value

    facts = {
        "query": "q=a",
        "referer": "http://r/",
        "origin": "http://o",
        "user_agent": "curl/8",
        "headers": [("X-Plan", "large")],
        "content_type": "application/json",
    }
    made = exchange(
        facts=facts,
        request_body=b'{"age":41}',
        response_headers=[("Content-Type", "text/plain")],
        response_body=b"fine",
        failure=note_failure(ValueError("boom")),
        variables={"plan": "large"},
    )
    assert build_event(made, Rules(OPTIONS, Redactor(custom=look))) is not None
    assert {path: value for path, value in seen.items() if path != "error.traceback"} == {
        "path": "/users/7",
        "url": "http://api.example/users/7?q=a",
        "client.referer": "http://r/",
        "client.origin": "http://o",
        "client.user_agent": "curl/8",
        "request.args.q": "a",
        "request.headers.X-Plan": "large",
        "request.body.age": 41,
        "response.headers.Content-Type": "text/plain",
        "response.body": "fine",
        "exception": "ValueError('boom')",
        "error.message": "boom",
        "variables.plan": "large",
    }


def test_what_is_too_long_for_the_wire_is_cut_after_it_is_redacted() -> None:
    shown = document(
        exchange(
            b"/" + b"p" * 9000,
            facts={
                "query": "token=" + "s" * 9000,
                "user_agent": "u" * 9000,
                "method": "M" * 99,
                "headers": [(f"H{n}", "v" * 8000) for n in range(90)],
            },
            route="/r" * 999,
            failure=note_failure(ValueError("e" * 9000)),
        )
    )
    assert "sss" not in json.dumps(shown)
    assert len(shown["method"]) == 32


def test_an_event_over_the_limit_of_the_wire_loses_its_bodies() -> None:
    shown = document(
        exchange(
            facts={"headers": []},
            response_body=json.dumps("x" * 300_000).encode(),
            response_size=300_002,
            response_headers=[("Content-Type", "application/json")],
        ),
        read_options({"max_body_bytes": 2**20}),
    )
    assert "body" not in shown["response"]
    assert shown["response"]["body_truncated"]
    assert shown["response"]["content_length"] == 300_002


def test_what_the_app_wants_left_out_makes_no_event() -> None:
    options = read_options({"exclude": ["/health*", "OPTIONS", 404]})
    for made in (
        exchange(route="/healthz"),
        exchange(facts={"method": "OPTIONS"}),
        exchange(status=404),
    ):
        assert build_event(made, Rules(options, Redactor())) is None
    assert build_event(exchange(route="/users"), Rules(options, Redactor())) is not None


@pytest.mark.parametrize(("ip", "shown"), [("full", "192.0.2.77"), ("truncated", "192.0.2.0"), ("none", None)])
def test_how_much_of_an_address_is_kept(ip: Any, shown: str | None) -> None:
    made = exchange(facts={"peer": "192.0.2.77", "headers": [("X-Forwarded-For", "192.0.2.77"), ("X-Real-Ip", "::1")]})
    told = document(made, read_options({"ip": ip}))
    assert told.get("client", {}).get("remote_address") == shown
    assert ("192.0.2.77" in json.dumps(told)) is (ip == "full")


texts = st.text(st.characters(), max_size=20)


def test_text_that_is_no_unicode_costs_no_event() -> None:
    broken = json.loads('"a\\ud800"')  # as every client may send it
    error = ValueError(broken)
    error.__cause__ = ValueError(broken)
    made = exchange(failure=note_failure(error), variables={broken: broken, "n": 1, "b": [1]})
    told = document(made)
    assert told["variables"] == {"a?": "a?", "n": 1, "b": [1]}
    assert told["error"]["message"] == "a?"
    assert "ValueError: a?" in told["error"]["traceback"]


@given(
    st.fixed_dictionaries(
        dict.fromkeys(("query", "host", "referer", "origin", "authorization", "peer", "user_agent"), texts)
    ),
    st.one_of(texts, st.sampled_from(["application/json", "text/plain", "application/x-www-form-urlencoded"])),
    texts,
    st.binary(max_size=20),
    st.binary(max_size=40),
)
def test_whatever_a_client_sends_makes_an_event_that_the_service_takes(
    facts: dict[str, str], content_type: str, message: str, path: bytes, body: bytes
) -> None:
    facts |= {"content_type": content_type}
    made = exchange(
        path,
        facts=facts | {"headers": [("X", facts["peer"])]},
        request_body=body,
        response_body=body,
        response_headers=[("Content-Type", content_type)],
        failure=note_failure(ValueError(message)),
        variables={message: message},
    )
    document(made)
