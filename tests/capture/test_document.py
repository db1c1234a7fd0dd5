from __future__ import annotations

import json
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tollkeeper.capture.document import build_event
from tollkeeper.capture.exchange import Exchange
from tollkeeper.capture.redact import Redactor
from tollkeeper.events.codec import decode_batch, encode_batch


def exchange(path: bytes = b"/users/7", **facts: Any) -> Exchange:
    made = Exchange("shop", "GET", path, started=time.perf_counter(), time=1_700_000_000.25)
    made.scheme, made.host, made.status = "http", "api.example", 200
    for name, value in facts.items():
        setattr(made, name, value)
    return made


def document(made: Exchange) -> dict[str, Any]:
    event = build_event(made, Redactor())
    batch = decode_batch(encode_batch([event]), source="x")
    assert batch.events == [event]
    assert not batch.errors
    return event.document()


def test_all_fields_of_an_exchange() -> None:
    shown = document(
        exchange(
            query="q=a&token=x",
            route="/users/{id}",
            referer="http://r/?sid=1",
            origin="http://o",
            authorization="Bearer t",
            peer="10.0.0.1",
            user_agent="curl/8.5.0",
            content_type="Application/JSON; charset=utf-8",
            content_length=2,
            body=b'{"pin": 1, "n": 12345678901234567890123}',
            headers=[("Accept", "*/*")],
            response_type="text/html",
            response_size=3,
            response_headers=[("X", "1"), ("X", "2")],
            elapsed=0.5,
            api="a",
            api_version="1",
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
            "content_length": 2,
            "mimetype": "application/json",
            "headers": {"Accept": "*/*"},
            "args": {"q": "a", "token": "[REDACTED]"},
            "body": {"pin": "[REDACTED]", "n": 12345678901234567890123},
        },
        "response": {"content_length": 3, "mimetype": "text/html", "headers": {"X": ["1", "2"]}},
    }


@pytest.mark.parametrize("body", [b"{", b"\xff\xfe", b"[" * 5000 + b"]" * 5000, b"", b"1e999", b'{"a": 1} trailing'])
def test_a_body_that_is_no_json_is_left_out(body: bytes) -> None:
    assert "body" not in document(exchange(body=body))["request"]


def test_a_path_that_is_not_utf_8() -> None:
    shown = document(exchange(b"/caf\xe9"))
    assert shown["path"] == "/caf\ufffd"
    assert shown["url"] == "http://api.example/caf%E9"
    assert shown["route"] == "(unmatched)"


def test_what_is_too_long_for_the_wire_is_cut_after_it_is_redacted() -> None:
    shown = document(
        exchange(
            b"/" + b"p" * 9000,
            query="token=" + "s" * 9000,
            user_agent="u" * 9000,
            method="M" * 99,
            route="/r" * 999,
            headers=[(f"H{n}", "v" * 8000) for n in range(90)],
            exception="e" * 9000,
        )
    )
    assert "sss" not in json.dumps(shown)
    assert len(shown["method"]) == 32


def test_an_event_over_the_limit_of_the_wire_loses_its_bodies() -> None:
    shown = document(exchange(response_body=json.dumps("x" * 300_000).encode(), response_size=300_002))
    assert "body" not in shown["response"]
    assert shown["response"]["content_length"] == 300_002


@given(
    st.fixed_dictionaries(
        dict.fromkeys(
            ("query", "host", "referer", "origin", "authorization", "peer", "user_agent", "content_type", "exception"),
            st.text(st.characters(), max_size=20),
        )
    ),
    st.binary(max_size=20),
    st.binary(max_size=40),
)
def test_whatever_a_client_sends_makes_an_event_that_the_service_takes(
    facts: dict[str, str], path: bytes, body: bytes
) -> None:
    document(exchange(path, body=body, headers=[("X", facts["peer"])], **facts))
