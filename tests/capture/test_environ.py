from __future__ import annotations

import sys
from typing import Any

import pytest

from tollkeeper.capture.environ import note_environ, note_headers, read_environ
from tollkeeper.capture.exchange import Exchange, RequestFacts
from tollkeeper.log import QuietLog

GIVEN = {
    "REQUEST_METHOD": "PUT",
    "SCRIPT_NAME": "/shop",
    "PATH_INFO": "/orders/\xc3\xbc",
    "QUERY_STRING": "a=1&b=%20",
    "SERVER_NAME": "127.0.0.1",
    "SERVER_PORT": "8000",
    "REMOTE_ADDR": "203.0.113.7",
    "wsgi.url_scheme": "https",
    "HTTP_HOST": "shop.example",
}
TOLD = RequestFacts(
    method="PUT",
    path=b"/shop/orders/\xc3\xbc",
    mount="/shop",
    scheme="https",
    host="shop.example",
    query="a=1&b=%20",
    peer="203.0.113.7",
)


def noted(**changes: Any) -> Exchange:
    return Exchange("shop", note_environ(GIVEN | changes), read_environ, QuietLog(), None)


def facts(**changes: Any) -> RequestFacts:
    exchange = noted(**changes)
    return exchange.read(exchange)


def test_what_an_environ_tells() -> None:
    assert facts() == TOLD
    told = facts(
        HTTP_X_FORWARDED_FOR=" 198.51.100.1 , 10.0.0.1",
        HTTP_REFERER="https://a.example/",
        HTTP_ORIGIN="https://b.example",
        HTTP_USER_AGENT="curl",
        HTTP_AUTHORIZATION="Bearer x",
        HTTP_APIKEY="k",
        CONTENT_TYPE="text/plain",
        CONTENT_LENGTH="12",
    )
    assert (told.forwarded, told.referer, told.origin) == ("198.51.100.1", "https://a.example/", "https://b.example")
    assert (told.user_agent, told.authorization, told.api_key) == ("curl", "Bearer x", "k")
    assert (told.content_type, told.content_length) == ("text/plain", 12)


def test_no_character_of_a_client_moves_a_value_to_another_name() -> None:
    every = "".join(map(chr, range(256)))
    told = facts(PATH_INFO=every, HTTP_USER_AGENT=every, HTTP_X_API_KEY="mine")
    assert told.path == f"/shop{every}".encode("latin-1")
    assert (told.user_agent, told.api_key) == (every, "mine")


@pytest.mark.parametrize("host", [None, ""])
def test_without_the_host_that_the_client_names_it_is_the_servers(host: str | None) -> None:
    assert facts(HTTP_HOST=host).host == "127.0.0.1:8000"


def test_what_an_odd_server_does_not_give_is_empty() -> None:
    told = facts(SCRIPT_NAME=None, QUERY_STRING=None, REMOTE_ADDR=None, HTTP_USER_AGENT=None, CONTENT_LENGTH=None)
    assert told == RequestFacts(method="PUT", path=b"/orders/\xc3\xbc", scheme="https", host="shop.example", peer=None)
    least = Exchange("shop", note_environ({"REQUEST_METHOD": "GET"}), read_environ, QuietLog(), None)
    assert least.read(least) == RequestFacts(method="GET", path=b"", host=":")


def test_it_weighs_what_it_holds() -> None:
    small, large = (noted(HTTP_USER_AGENT="x" * size) for size in (1, 5000))
    assert large.weight() - small.weight() == 4999
    assert small.weight() > sys.getsizeof(small) + sys.getsizeof(small.noted)


class Odd:
    def __str__(self) -> str:
        raise RuntimeError("of the host's own")


def test_headers_are_the_texts_under_their_names_and_nothing_else() -> None:
    environ = GIVEN | {
        "CONTENT_TYPE": "text/plain",
        "CONTENT_LENGTH": "12",
        "HTTP_X_TWO_WORDS": "a\0b",
        "HTTP_EMPTY": "",
        "HTTP_NONE": None,
        "HTTP_BYTES": b"raw",
        "HTTP_USER": Odd(),
        "my.HTTP_SESSION": Odd(),
        "my.HTTP_TEXT": "mine",
    }
    exchange = Exchange("shop", note_environ(environ), read_environ, QuietLog(), None)
    exchange.detailed, exchange.request_headers = True, note_headers(environ)
    assert exchange.read(exchange).headers == [
        ("Content-Type", "text/plain"),
        ("Content-Length", "12"),
        ("Host", "shop.example"),
        ("X-Two-Words", "a\0b"),
    ]
    assert exchange.weight() >= len(exchange.noted) + len(exchange.request_headers)
    exchange.request_headers = note_headers({})
    assert exchange.read(exchange).headers == [("Content-Type", "text/plain"), ("Content-Length", "12")]
