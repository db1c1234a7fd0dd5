from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

import pytest
from werkzeug.test import EnvironBuilder, run_wsgi_app

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
