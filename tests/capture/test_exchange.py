"""What an exchange is told, and whether it is still as plain as most."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tollkeeper.capture.environ import ENVIRON_KEY, note_environ, read_environ
from tollkeeper.capture.exchange import Exchange
from tollkeeper.log import QuietLog
from tollkeeper.sinks.memory import MemorySink
from tollkeeper.wsgi import Tollkeeper

if TYPE_CHECKING:
    from collections.abc import Callable

    from _typeshed.wsgi import StartResponse, WSGIEnvironment


def leave_alone(_exchange: Exchange) -> None:
    """As most views do."""


def fail(exchange: Exchange) -> None:
    exchange.fail(RuntimeError("a"))


@pytest.mark.parametrize(
    ("step", "plain"),
    [
        (leave_alone, True),
        (lambda exchange: exchange.set_consumer("a"), True),
        (lambda exchange: exchange.set_units(2), True),
        (lambda exchange: exchange.track(color="red"), False),
        (Exchange.skip, False),
        (fail, False),
    ],
)
def test_it_is_plain_while_it_has_what_all_have(step: Callable[[Exchange], None], *, plain: bool) -> None:
    exchange = Exchange("shop", note_environ({"REQUEST_METHOD": "GET"}), read_environ, QuietLog(), None)
    assert exchange.plain
    step(exchange)
    assert exchange.plain is plain


@pytest.mark.parametrize("step", [leave_alone, Exchange.skip, fail, lambda exchange: exchange.track(color="red")])
def test_plain_or_not_it_is_counted_as_what_it_is(step: Callable[[Exchange], None]) -> None:
    def app(environ: WSGIEnvironment, start_response: StartResponse) -> list[bytes]:
        start_response("200 OK", [])
        step(environ[ENVIRON_KEY])
        return [b"hello"]

    sink = MemorySink()
    keeper = Tollkeeper(app, sink=sink, capture="metadata")
    for _ in range(3):
        list(keeper({"REQUEST_METHOD": "GET"}, lambda *_: lambda _: None))
    assert keeper.stats().captured == 3
    assert keeper.flush(20)
    stats = keeper.stats()
    left_out = 3 if step is Exchange.skip else 0
    assert (stats.sent, stats.excluded, len(sink.events)) == (3 - left_out, left_out, 3 - left_out)
    keeper.close()


def test_a_watch_is_made_as_every_exchange_is() -> None:
    seen: list[Exchange] = []

    def app(environ: WSGIEnvironment, start_response: StartResponse) -> list[bytes]:
        seen.append(environ[ENVIRON_KEY])
        start_response("200 OK", [])
        return []

    keeper = Tollkeeper(app, sink=MemorySink(), capture="metadata")
    keeper({"REQUEST_METHOD": "GET"}, lambda *_: lambda _: None)
    other = Exchange("shop", note_environ({"REQUEST_METHOD": "GET"}), read_environ, QuietLog(), None)
    assert vars(other).keys() <= vars(seen[0]).keys()
    keeper.close()


def test_what_weighs_more_weighs_more() -> None:
    def weight(step: Callable[[Exchange], None]) -> int:
        exchange = Exchange("shop", note_environ({"REQUEST_METHOD": "GET"}), read_environ, QuietLog(), None)
        step(exchange)
        return exchange.weight()

    least = weight(leave_alone)
    assert weight(lambda exchange: exchange.track(text="x" * 1000)) >= least + 1000
    assert weight(fail) > least
    assert weight(Exchange.skip) == least
