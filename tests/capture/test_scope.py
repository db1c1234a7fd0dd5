from __future__ import annotations

from typing import Any

import pytest

from support.asgi import http_scope
from tollkeeper.capture.exchange import RequestFacts
from tollkeeper.capture.scope import ScopeExchange, header_pairs, header_value
from tollkeeper.log import QuietLog


def noted(*, detailed: bool = False, **parts: Any) -> ScopeExchange:
    return ScopeExchange.of("shop", http_scope(parts.pop("target", "/p"), **parts), QuietLog(), None, detailed=detailed)


def facts(**parts: Any) -> RequestFacts:
    exchange = noted(**parts)
    return exchange.read(exchange)


def test_what_a_scope_tells() -> None:
    told = facts(
        target="/p?a=1&b=%20",
        method="PUT",
        scheme="https",
        headers=[
            ("user-agent", "curl"),
            ("referer", "https://a.example/"),
            ("origin", "https://b.example"),
            ("authorization", "Bearer x"),
            ("x-api-key", "k"),
            ("x-forwarded-for", " 198.51.100.1 , 10.0.0.1"),
            ("content-type", "text/plain"),
            ("content-length", "12"),
        ],
    )
    assert told == RequestFacts(
        method="PUT",
        path=b"/p",
        scheme="https",
        host="shop.example",
        query="a=1&b=%20",
        peer="203.0.113.7",
        forwarded="198.51.100.1",
        referer="https://a.example/",
        origin="https://b.example",
        user_agent="curl",
        authorization="Bearer x",
        api_key="k",
        content_type="text/plain",
        content_length=12,
    )


def test_only_some_headers_are_kept_of_every_request() -> None:
    secrets = [("cookie", "sid=1"), ("user-agent", "curl")]
    assert noted(headers=secrets).request_headers == [(b"host", b"shop.example"), (b"user-agent", b"curl")]
    assert facts(headers=secrets, detailed=True).headers == [
        ("Host", "shop.example"),
        ("Cookie", "sid=1"),
        ("User-Agent", "curl"),
    ]


@pytest.mark.parametrize("detailed", [False, True])
def test_the_weight_grows_with_the_headers(*, detailed: bool) -> None:
    small, large = (noted(detailed=detailed, headers=[("user-agent", "x" * size)]).weight() for size in (1, 5000))
    assert large - small == 4999


def test_of_a_header_that_repeats_the_first_counts() -> None:
    assert facts(headers=[("x-api-key", "a"), ("x-api-key", "b"), ("apikey", "c")]).api_key == "a"
    assert facts(headers=[("apikey", "c"), ("x-real-ip", "192.0.2.1"), ("x-forwarded-for", "10.0.0.1")]).api_key == "c"
    assert facts(headers=[("x-real-ip", "192.0.2.1"), ("x-forwarded-for", "10.0.0.1")]).forwarded == "192.0.2.1"


@pytest.mark.parametrize(
    ("path", "raw_path", "shown"),
    [
        ("/\ufffd\ufffdx", b"/%ff%fex", b"/\xff\xfex"),
        ("/caf\u00e9", b"/caf%C3%A9?q=1", "/caf\u00e9".encode()),
        ("/new", b"/old", b"/new"),
        ("/x", None, b"/x"),
        ("/\ud800", b"", b"/?"),
    ],
)
def test_a_path_has_the_bytes_that_the_client_sent(path: str, raw_path: bytes | None, shown: bytes) -> None:
    assert facts(path=path, raw_path=raw_path).path == shown


@pytest.mark.parametrize(
    ("server", "host"), [(("127.0.0.1", 80), "127.0.0.1:80"), (("/run/app.sock", None), "/run/app.sock"), (None, "")]
)
def test_without_a_host_the_servers_address_stands(server: object, host: str) -> None:
    scope = http_scope(server=server, client=None)
    scope["headers"] = []
    exchange = ScopeExchange.of("shop", scope, QuietLog(), None, detailed=False)
    told = exchange.read(exchange)
    assert (told.host, told.peer) == (host, None)


@pytest.mark.parametrize("length", ["", "-1", "x", "9" * 13])
def test_a_length_that_is_none_is_left_out(length: str) -> None:
    assert facts(headers=[("content-length", length)]).content_length is None


def test_headers_are_taken_from_whatever_can_be_read_twice() -> None:
    pair = (b"A", b"1")
    assert header_pairs([pair]) == header_pairs((pair,)) == header_pairs({pair: None}) == (pair,)
    assert header_pairs(iter([pair])) == ()
    assert header_value([pair, (b"a", b"2")], b"a") == "1"
    assert header_value([pair], b"b") == ""


def test_what_an_odd_server_notes_is_weighed_without_its_numbers() -> None:
    exchange = noted()
    odd = noted()
    odd.noted = (*exchange.noted, 4711, b"raw")
    assert odd.weight() - exchange.weight() == len(b"raw")
