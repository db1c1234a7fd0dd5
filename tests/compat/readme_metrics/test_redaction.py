"""``denylist`` and ``allowlist``, in headers, form fields, URL parameters and the top level of JSON."""

from __future__ import annotations

import json
from typing import Any

import pytest


def named(pairs: list[dict[str, str]]) -> dict[str, str]:
    return {pair["name"]: pair["value"] for pair in pairs}


def body(message: dict[str, Any]) -> Any:
    return json.loads(message["content"]["text"] if "content" in message else message["postData"]["text"])


def test_a_text_is_redacted_with_its_length_and_anything_else_without(watch: Any) -> None:
    sent = {"secret": "s3cret", "card": 4242, "list": [1], "none": None, "empty": "", "city": "Berlin"}
    entry = watch(denylist=["secret", "card", "list", "none", "empty"]).entry("/", "POST", json=sent)
    assert body(entry["request"]) == {
        "secret": "[REDACTED 6]",
        "card": "[REDACTED]",
        "list": "[REDACTED]",
        "none": "[REDACTED]",
        "empty": "[REDACTED 0]",
        "city": "Berlin",
    }


def test_json_is_checked_at_the_top_level_only(watch: Any) -> None:
    answered = body(watch(denylist=["secret"]).entry()["response"])
    assert answered["secret"] == "[REDACTED 6]"
    assert answered["nested"] == {"secret": "deep"}
    listed = watch(denylist=["secret"]).entry("/", "POST", json=[{"secret": "s3cret"}])
    assert body(listed["request"]) == [{"secret": "s3cret"}]


def test_json_is_found_whatever_the_content_type_says(watch: Any) -> None:
    sent = watch(denylist=["secret"]).entry("/", "POST", data='\ufeff {"secret": "s3cret"}'.encode())["request"]
    assert body(sent) == {"secret": "[REDACTED 6]"}
    text = watch(denylist=["secret"]).entry("/", "POST", data="{secret}")["request"]["postData"]["text"]
    assert text == "{secret}"


def test_headers_are_checked_in_any_case(watch: Any) -> None:
    entry = watch(denylist=["x-secret", "CONTENT-TYPE"]).entry("/", headers={"X-Secret": "s3cret", "X-Plan": "gold"})
    sent = named(entry["request"]["headers"])
    assert (sent["X-Secret"], sent["X-Plan"]) == ("[REDACTED 6]", "gold")
    assert named(entry["response"]["headers"])["Content-Type"] == "[REDACTED 16]"


def test_names_are_compared_exactly_elsewhere(watch: Any) -> None:
    entry = watch(denylist=["Secret", "secre"]).entry("/?SECRET=1")
    assert body(entry["response"])["secret"] == "s3cret"
    assert entry["request"]["url"].endswith("?SECRET=1")


def test_url_parameters_are_checked(watch: Any) -> None:
    entry = watch(denylist=["api key"]).entry("/?city=a%20b&api+key=s3%20cret&flag&api%20key=x")
    url = "http://localhost/?city=a%20b&api+key=%5BREDACTED%207%5D&flag&api%20key=%5BREDACTED%201%5D"
    assert entry["pageref"] == entry["request"]["url"] == url
    assert [tuple(pair.values()) for pair in entry["request"]["queryString"]] == [
        ("city", "a b"),
        ("api key", "[REDACTED 7]"),
        ("api key", "[REDACTED 1]"),
    ]


def test_form_fields_are_checked_and_a_redacted_form_stays_a_form(watch: Any) -> None:
    form = {"city": "Berlin", "secret": "s3cret"}
    for lists in ({"denylist": ["secret", "Content-Type"]}, {"allowlist": ["city"]}):
        sent = watch(**lists).entry("/form", "POST", data=form)["request"]
        assert sent["postData"] == {
            "mimeType": "application/x-www-form-urlencoded",
            "params": [{"name": "city", "value": "Berlin"}, {"name": "secret", "value": "[REDACTED 6]"}],
        }


def test_an_allowlist_redacts_all_others(watch: Any) -> None:
    entry = watch(allowlist=["city", "host"]).entry("/?city=1&secret=2", headers={"Authorization": "Bearer abc"})
    assert body(entry["response"]) == {
        "city": "Berlin",
        "secret": "[REDACTED 6]",
        "count": "[REDACTED]",
        "nested": "[REDACTED]",
    }
    sent = named(entry["request"]["headers"])
    assert sent["Host"] == "localhost"
    assert sent["Authorization"] == "[REDACTED 10]"
    assert named(entry["request"]["queryString"]) == {"city": "1", "secret": "[REDACTED 1]"}


def test_a_denylist_overrides_the_allowlist(watch: Any) -> None:
    answered = body(watch(allowlist=["city", "secret"], denylist=["secret"]).entry()["response"])
    assert (answered["city"], answered["secret"], answered["count"]) == ("Berlin", "[REDACTED 6]", "[REDACTED]")


def test_without_lists_nothing_is_redacted(watch: Any) -> None:
    entry = watch().entry("/?password=1", "POST", data='{"password": "2"}')
    assert entry["request"]["url"].endswith("?password=1")
    assert entry["request"]["postData"]["text"] == '{"password": "2"}'


@pytest.mark.parametrize("text", ['{"a":' * 50_000, '{"secret": "' + "x" * 2**20 + '"}'], ids=["deep", "long"])
def test_an_object_that_cannot_be_read_is_redacted_as_a_whole(watch: Any, text: str) -> None:
    sent = watch(denylist=["secret"]).entry("/read", "POST", data=text)["request"]
    assert sent["postData"]["text"] == f"[REDACTED {len(text)}]"
