from __future__ import annotations

import gc
import io
import logging
from typing import TYPE_CHECKING, Any

import pytest
from werkzeug.test import EnvironBuilder, run_wsgi_app

import tollkeeper
from tollkeeper.sinks.memory import MemorySink
from tollkeeper.wsgi import Tollkeeper

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from tollkeeper.capture.request import RequestView
    from tollkeeper.events.event import UsageEvent

Environ = dict[str, Any]


def app(environ: Environ, start_response: Callable[..., Any]) -> Iterable[bytes]:
    if environ["PATH_INFO"] == "/boom":
        raise ValueError("boom")
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"hello ", environ["PATH_INFO"].encode("latin-1")]


def ask(keeper: Tollkeeper, path: str, **how: Any) -> tuple[bytes, UsageEvent]:
    answer, status, _ = run_wsgi_app(keeper, EnvironBuilder(path, **how).get_environ(), buffered=True)
    assert status == "200 OK"
    assert keeper.flush(10)
    assert isinstance(keeper.sink, MemorySink)
    return b"".join(answer), keeper.sink.events[-1]


@pytest.fixture
def make() -> Iterator[Callable[..., Tollkeeper]]:
    made: list[Tollkeeper] = []

    def make(application: Any = app, **options: Any) -> Tollkeeper:
        made.append(Tollkeeper(application, **({"sink": MemorySink()} | options)))
        return made[-1]

    yield make
    for keeper in made:
        assert keeper.close(10)


def test_any_application_is_recorded(make: Callable[..., Tollkeeper]) -> None:
    answer, event = ask(make(), "/things/7?token=x")
    assert answer == b"hello /things/7"
    assert (event.source, event.route, event.path, event.status_code) == ("app", "(unmatched)", "/things/7", 200)
    assert event.response.first_byte_time is not None
    assert event.request.elapsed_time is not None
    assert event.response.first_byte_time <= event.request.elapsed_time
    assert event.document()["response"]["body"] == "hello /things/7"


def test_the_route_is_named_by_a_function_or_by_bottle(make: Callable[..., Tollkeeper]) -> None:
    keeper = make(route=lambda environ: environ["PATH_INFO"].replace("7", "{id}"))
    assert ask(keeper, "/things/7", base_url="http://x/v1")[1].route == "/v1/things/{id}"

    class Route:
        rule = "/things/<id>"

    def bottle(environ: Environ, start_response: Callable[..., Any]) -> Iterable[bytes]:
        environ["bottle.route"] = Route
        return app(environ, start_response)

    assert ask(make(bottle), "/things/7")[1].route == "/things/<id>"


def test_a_route_that_cannot_be_named_is_unmatched_and_counted(make: Callable[..., Tollkeeper]) -> None:
    def fails(_: Environ) -> str:
        raise KeyError("route")

    keeper = make(route=fails)
    assert ask(keeper, "/things/7")[1].route == "(unmatched)"
    assert keeper.stats().errors == {"route": 1}


def test_functions_get_a_view_of_the_request(make: Callable[..., Tollkeeper]) -> None:
    seen: list[RequestView] = []

    def identify(request: RequestView) -> str:
        seen.append(request)
        return request.headers["x-customer"]

    keeper = make(identify=identify)
    _, event = ask(keeper, "/caf\xe9?a=1", headers={"X-Customer": "ann"}, data=b"x", method="POST")
    assert event.consumer is not None
    assert event.consumer.key == "ann"
    (view,) = seen
    assert (view.method, view.path, view.query) == ("POST", "/caf\xe9", "a=1")
    assert view.headers["content-length"] == "1"
    assert view.native["REQUEST_METHOD"] == "POST"


def test_an_exception_passes_and_is_recorded(make: Callable[..., Tollkeeper]) -> None:
    keeper = make(route=lambda _: "/boom")
    with pytest.raises(ValueError, match="boom"):
        run_wsgi_app(keeper, EnvironBuilder("/boom").get_environ())
    assert keeper.flush(10)
    assert isinstance(keeper.sink, MemorySink)
    (event,) = keeper.sink.events
    assert (event.status_code, event.exception, event.route) == (500, "ValueError('boom')", "/boom")


def test_without_a_sink_the_application_is_called_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TOLLKEEPER_SINK", raising=False)
    keeper = Tollkeeper(app)
    assert keeper.flush()
    assert keeper.close()
    answer = keeper({"PATH_INFO": "/x"}, lambda *_: io.BytesIO().write)
    assert answer == [b"hello ", b"/x"]


def test_an_environ_with_only_what_a_server_must_give(make: Callable[..., Tollkeeper]) -> None:
    keeper = make()
    environ: Environ = {
        "REQUEST_METHOD": "GET",
        "PATH_INFO": "/x",
        "SERVER_NAME": "here",
        "SERVER_PORT": "80",
        "wsgi.url_scheme": "http",
        "wsgi.input": io.BytesIO(),
        "REMOTE_ADDR": None,
    }
    assert b"".join(keeper(environ, lambda *_: io.BytesIO().write)) == b"hello /x"
    assert keeper.flush(10)
    assert isinstance(keeper.sink, MemorySink)
    assert keeper.sink.events[0].url == "http://here:80/x"


def test_a_request_that_cannot_be_watched_is_answered_and_counted_once(
    make: Callable[..., Tollkeeper], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logging.getLogger("tollkeeper"), "disabled", True)  # a log would keep its traceback
    keeper = make()
    environ = EnvironBuilder("/a", json={}).get_environ()
    del environ["wsgi.input"]
    answer, status, _ = run_wsgi_app(keeper, environ, buffered=True)
    assert (status, b"".join(answer)) == ("200 OK", b"hello /a")
    del environ
    ask(keeper, "/b")  # so that the first one is forgotten
    gc.collect()
    assert keeper.stats().captured == 2
    assert keeper.stats().dropped == {"error": 1}


def test_what_is_around_a_mounted_app_is_in_hand_again_when_that_has_answered(make: Callable[..., Tollkeeper]) -> None:
    inner = make()

    def around(environ: Environ, start_response: Callable[..., Any]) -> Iterable[bytes]:
        answer, status, headers = run_wsgi_app(inner, environ, buffered=True)
        tollkeeper.set_consumer("ann")
        start_response(status, list(headers))
        return answer

    _, event = ask(make(around), "/a")
    assert event.consumer is not None
    assert event.consumer.key == "ann"
    assert inner.flush(10)
    assert inner.sink.events[0].consumer is None


def test_what_is_in_hand_shows_no_secret_in_a_log(make: Callable[..., Tollkeeper]) -> None:
    shown: list[str] = []

    def app(_: Environ, start_response: Callable[..., Any]) -> Iterable[bytes]:
        shown.append(repr(tollkeeper.current()))
        start_response("204 No Content", [])
        return []

    run_wsgi_app(make(app, source="shop"), EnvironBuilder("/?token=hunter2", auth=("ann", "hunter2")).get_environ())
    assert shown == ["<Watch of 'shop'>"]
