from __future__ import annotations

import pytest
from msgspec import Raw

from sinks.cases.base import event
from tollkeeper.events.event import Consumer, Request
from tollkeeper.sinks.plain import plain_event


def test_what_any_database_takes_stays_as_it_is() -> None:
    plain = event(
        "1",
        consumer=Consumer(key="ann"),
        variables=Raw(b'{"a": [1, -1.5, true, null, "\\u00e9", 9223372036854775807]}'),
    )
    assert plain_event(plain).document() == plain.document()


def test_what_some_databases_refuse_is_written_in_another_way() -> None:
    ugly = event("a\0b", path="/\0", variables=Raw(b'{"k\\u0000": [18446744073709551616, -9223372036854775809]}'))
    assert plain_event(ugly).document() == ugly.document() | {
        "id": "a\ufffdb",
        "path": "/\ufffd",
        "variables": {"k\ufffd": ["18446744073709551616", "-9223372036854775809"]},
    }
    nested = event("1", request=Request(body=Raw(b"[" * 40 + b'"\\u0000"' + b"]" * 40)))
    found = plain_event(nested).document()["request"]["body"]
    levels = 0
    while isinstance(found, list):
        (found,) = found
        levels += 1
    assert levels == 18
    assert found == "[" * 22 + '"\\u0000"' + "]" * 22


def test_what_is_no_event_cannot_be_helped() -> None:
    with pytest.raises(ValueError, match="status_code"):
        plain_event(event("1", status_code=2**40))
