"""What every sink does, whatever is behind it; sinks/cases tells how each is made and read."""

from __future__ import annotations

import os
import signal
import sys
import time
import traceback
from contextlib import contextmanager
from datetime import UTC, datetime
from decimal import Decimal
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import flask
import pytest
from msgspec import Raw

from sinks.cases.base import Case, event
from tollkeeper.errors import ConfigurationError, SinkError
from tollkeeper.events.event import Client, Consumer, Error, Request, Response, UsageEvent
from tollkeeper.flask import Tollkeeper

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from tollkeeper.sinks.base import Sink

pytestmark = [
    pytest.mark.timeout(120),
    pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning"),  # sinks survive a fork
]

CASES: dict[str, type[Case]] = {
    path.stem: import_module(f"sinks.cases.{path.stem}").Case
    for path in sorted(Path(__file__).with_name("cases").glob("*.py"))
    if path.stem not in {"__init__", "base"}
}
TIMEOUT = 1.0
NESTED = b'{"$set": {"a.b": [1, [2, {"": null, "x": [{}, [], true]}]]}, "key with \\"quotes\\"": "it\'s"}'
RICH = [
    event("minimal"),
    event(
        "full",
        time=datetime(2024, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC),
        method="PATCH",
        path="/orders/7",
        status_code=503,
        route="/orders/<id>",
        url="https://shop.example/orders/7?page=2",
        exception="ValueError: no",
        error=Error(type="builtins.ValueError", message="no", traceback="line 1\nline 2"),
        consumer=Consumer(key="ann", label="Ann", email="ann@example.org", group="staff"),
        api="orders",
        api_version="2",
        units=Decimal("2.000001"),
        variables=Raw(b'{"plan": "pro"}'),
        client=Client(referer="/", origin="https://a.example", remote_address="::1", user_agent="curl/8", platform="x"),
        request=Request(elapsed_time=0.25, content_length=3, mimetype="a/b", headers=Raw(b'[["A","1"],["A","2"]]')),
        response=Response(first_byte_time=0.125, body=Raw(b'"cut"'), body_truncated=True),
    ),
    event(
        "nested", request=Request(body=Raw(NESTED), args=Raw(b'{"q": ["1", ""]}')), response=Response(body=Raw(NESTED))
    ),
    event("ünïcode 🦄 العربية", path="/\U0001f984/é/e\u0301", consumer=Consumer(key="Ω≈ç", label="\u202eabc\u200b")),
    event("Case"),
    event("case"),
    event("case "),
    event(" case"),
    event("quotes ' \" ` \\ % ; -- $1 {} %s", path="'; DROP TABLE usage_events; --"),
    event("longest" + "🦄" * 248, source="🦄" * 255, path="🦄" * 8192, route="🦄" * 1024),
    event("empty strings", path="", route="", request=Request(body=Raw(b'""'))),
    event("control", path="/\x01\x1f\x7f\u2028\ufeff"),
    event(
        "huge",
        units=Decimal("999999.999999"),
        request=Request(elapsed_time=31_536_000.0, content_length=2**40),
        variables=Raw(b"[9223372036854775807, -9223372036854775808, 1.7976931348623157e308, 5e-324, 0.1, -0.5]"),
    ),
    event("tiny", units=Decimal(0), request=Request(elapsed_time=0.000001)),
    event("long ago", time=datetime(1970, 1, 1, 0, 0, 0, 1, tzinfo=UTC)),
]
# Each is refused by one database or the other: they must not be a way to remain uncounted.
UGLY = {
    "beyond 64 bits": event("u", variables=Raw(b"[18446744073709551616, -99999999999999999999999999999999999999999]")),
    "NUL": event("u", path="/a\0b", request=Request(body=Raw(b'{"k\\u0000": "v\\u0000"}'))),
    "deep": event("u", response=Response(body=Raw(b"[" * 90 + b'{"a": 1}' + b"]" * 90))),
}


def able(can: Callable[[type[Case]], object]) -> pytest.MarkDecorator:
    """Ask the test of those cases that can what it needs."""
    return pytest.mark.parametrize("case", [name for name, case in CASES.items() if can(case)], indirect=True)


@pytest.fixture
def case(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Case]:
    made = CASES[request.param](tmp_path)
    yield made
    made.close()


@contextmanager
def opened(case: Case, *, timeout: float = 10.0) -> Iterator[Sink]:
    sink = case.make(timeout=timeout)
    try:
        yield sink
    finally:
        sink.close()


def batch(name: str, count: int) -> list[UsageEvent]:
    return [event(f"{name}-{number}", variables=Raw(b'{"number": %d}' % number)) for number in range(count)]


def forked(work: Callable[[], object]) -> int:
    """Run something in a forked process, which ends in bounded time; gives its process id."""
    pid = os.fork()
    if pid:
        return pid
    code = 1
    try:
        signal.alarm(60)
        work()
        code = 0
    except BaseException:  # noqa: BLE001 - told below, whatever it is
        traceback.print_exc()
    finally:
        os._exit(code)


def send_when_it_can(sink: Sink, events: Sequence[UsageEvent]) -> None:
    """Send as the queue does: again while the sink asks for it."""
    until = time.monotonic() + 30
    while True:
        try:
            sink.send(events)
        except SinkError as error:
            if not error.retry or time.monotonic() > until:
                raise
            time.sleep(0.1)
        else:
            return


@able(lambda case: case.keeps_documents)
def test_what_is_written_is_read_back_field_by_field(case: Case) -> None:
    with opened(case) as sink:
        sink.send(RICH)
    found = case.documents()
    for sent in RICH:
        assert found[sent.source, sent.id] == case.expected(sent)
    assert len(found) == len(RICH)


@able(lambda case: case.keeps_documents)
@pytest.mark.parametrize("ugly", UGLY)
def test_what_a_backend_cannot_hold_is_counted_in_a_plainer_form(case: Case, ugly: str) -> None:
    with opened(case) as sink:
        sink.send([event("before"), UGLY[ugly], event("after")])
        assert getattr(sink, "rejected", 0) == 0
    found = case.documents()
    assert sorted(name for _, name in found) == ["after", "before", "u"]
    assert found["app", "u"]["status_code"] == 200


@able(lambda case: case.counts_once)
def test_an_event_that_is_sent_twice_counts_once(case: Case) -> None:
    with opened(case) as sink:
        sink.send(batch("a", 3))
        sink.send([*batch("a", 5), *batch("a", 5)])
    assert case.count() == 5


@able(lambda case: case.counts_once and case.keeps_documents)
def test_the_first_of_two_events_with_one_id_stays(case: Case) -> None:
    with opened(case) as sink:
        sink.send([event("1", path="/first")])
        sink.send([event("1", path="/second"), event("2", path="/second")])
    assert {name: found["path"] for (_, name), found in case.documents().items()} == {"1": "/first", "2": "/second"}


@able(lambda _: True)
def test_a_batch_of_500_and_an_empty_one(case: Case) -> None:
    with opened(case, timeout=60) as sink:
        sink.send([])
        sink.send(batch("a", 500))
        sink.send([])
    assert case.count() == 500


@able(lambda _: True)
def test_closed_it_is_used_again(case: Case) -> None:
    sink = case.make()
    sink.close()
    sink.send(batch("a", 2))
    sink.close()
    sink.close()
    sink.send(batch("b", 3))
    sink.close()
    assert case.count() == 5


@able(lambda case: case.outlives_process)
def test_it_survives_a_fork_between_two_calls(case: Case) -> None:
    with opened(case) as sink:
        sink.send(batch("before", 2))

        def work(name: str) -> None:
            sink.send(batch(name, 5))
            sink.close()

        children = [forked(partial(work, name)) for name in "xyz"]
        for number in range(5):
            sink.send(batch(f"parent-{number}", 5))
        assert [os.waitpid(child, 0)[1] for child in children] == [0, 0, 0]
        sink.send(batch("after", 2))
    assert case.count() == 2 + 3 * 5 + 5 * 5 + 2


@able(lambda case: case.outlives_process and case.counts_once)
def test_processes_that_start_at_once_make_the_schema_once(case: Case) -> None:
    start = time.time() + 0.5

    def work() -> None:
        sink = case.make()
        time.sleep(max(0.0, start - time.time()))
        send_when_it_can(sink, [*batch(str(os.getpid()), 5), *batch("shared", 5)])
        sink.close()

    children = [forked(work) for _ in range(6)]
    assert [os.waitpid(child, 0)[1] for child in children] == [0] * 6
    assert case.count() == 6 * 5 + 5


@able(lambda case: case.has_server)
@pytest.mark.parametrize("way", ["stop", "kill"])
def test_a_server_that_is_down_is_told_in_time_and_found_again(case: Case, way: str) -> None:
    server = case.server
    with opened(case, timeout=TIMEOUT) as sink:
        send_when_it_can(sink, batch("acknowledged", 3))
        getattr(server, way)()
        for _ in range(2):
            began = time.monotonic()
            with pytest.raises(SinkError) as caught:
                sink.send(batch("waiting", 3))
            assert caught.value.retry
            assert time.monotonic() - began < 5 * TIMEOUT
        server.start()
        send_when_it_can(sink, batch("waiting", 3))
        send_when_it_can(sink, batch("later", 3))
    assert case.count() == 9


@able(lambda case: case.has_server)
def test_a_server_that_was_restarted_while_nothing_was_sent_is_not_even_noticed(case: Case) -> None:
    with opened(case) as sink:
        sink.send(batch("before", 3))
        case.server.stop()
        case.server.start()
        sink.send(batch("after", 3))
    assert case.count() == 6


@able(lambda case: case.has_server)
def test_a_server_that_hangs_is_given_up_after_the_timeout(case: Case) -> None:
    with opened(case, timeout=TIMEOUT) as sink:
        send_when_it_can(sink, batch("before", 3))
        case.server.freeze()
        try:
            for _ in range(2):
                began = time.monotonic()
                with pytest.raises(SinkError) as caught:
                    sink.send(batch("waiting", 3))
                assert caught.value.retry
                assert time.monotonic() - began < 5 * TIMEOUT
        finally:
            case.server.thaw()
        send_when_it_can(sink, batch("waiting", 3))
    assert not case.counts_once or case.count() == 6


@able(lambda case: case.has_password)
def test_a_wrong_password_is_told_without_it(case: Case) -> None:
    sink = case.intruder("s3cret-guess")
    with pytest.raises(SinkError, match=r"(?i)authentication failed|access denied|token") as caught:
        sink.send(batch("a", 1))
    assert "s3cret-guess" not in "".join(traceback.format_exception(caught.value))
    sink.close()


@able(lambda case: case.driver)
def test_a_missing_driver_names_the_extra_that_installs_it(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    assert case.driver is not None
    module, extra = case.driver
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(ConfigurationError, match=rf"pip install 'tollkeeper\[{extra}\]'"):
        case.make()


@able(lambda case: case.poison)
def test_an_event_that_is_never_taken_does_not_take_its_batch_with_it(
    case: Case, caplog: pytest.LogCaptureFixture
) -> None:
    poison: dict[str, Any] = case.poison or {}
    with opened(case) as sink:
        sink.send([*batch("a", 10), event("poison", **poison), *batch("b", 10)])
        assert getattr(sink, "rejected", 0) == 1
        assert [record.name for record in caplog.records if "rejected" in record.message] == ["tollkeeper"]
        sink.send(batch("c", 5))
    assert case.count() == 25


@able(lambda case: case.has_server)
def test_nothing_is_lost_or_doubled_when_the_server_is_restarted_under_a_real_app(case: Case) -> None:
    app = flask.Flask("shop")
    app.add_url_rule("/items/<int:number>", view_func=lambda number: {"number": number}, endpoint="item")
    keeper = Tollkeeper(app, sink=case.make(timeout=5))
    client = app.test_client()
    asked = 0

    def ask(count: int) -> None:
        nonlocal asked
        for _ in range(count):
            assert client.get(f"/items/{asked}").json == {"number": asked}
            asked += 1

    ask(50)
    assert keeper.flush(30)
    for way in (case.server.stop, case.server.kill):
        ask(20)
        way()
        ask(50)
        assert not keeper.flush(1.5)
        case.server.start()
        ask(20)
    assert keeper.close(60)
    stats = keeper.stats()
    assert (stats.captured, stats.sent, stats.dropped) == (asked, asked, {})
    if case.counts_once:
        assert case.count() == asked
