from __future__ import annotations

import asyncio
import copy
import gc
import json
import logging
import pickle
import threading
import weakref
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest
from django.core.exceptions import MiddlewareNotUsed, SynchronousOnlyOperation
from django.core.handlers.asgi import ASGIHandler
from django.core.handlers.wsgi import WSGIHandler
from django.core.signals import got_request_exception
from django.http import HttpRequest, HttpResponse
from django.test import AsyncClient, Client, RequestFactory, override_settings

from support.django_project import (
    ENDED,
    FILE,
    OURS,
    SYNC_BELOW,
    Answer,
    Project,
    call_asgi,
    call_wsgi,
    environ,
    scope,
)
from tollkeeper.capture.wsgi import WSGIObserver
from tollkeeper.django import Tollkeeper, keeper, lifespan
from tollkeeper.errors import ConfigurationError

if TYPE_CHECKING:
    from pathlib import Path

Call = Callable[..., Answer]
Enter = Callable[..., Project]


@pytest.fixture
def project(monkeypatch: pytest.MonkeyPatch) -> Iterator[Enter]:
    monkeypatch.setattr("tollkeeper.django._opened", [])
    monkeypatch.delenv("TOLLKEEPER_SINK", raising=False)
    ENDED.clear()
    entered: list[Project] = []

    def enter(**how: Any) -> Project:
        entered.append(Project(**how).__enter__())
        return entered[-1]

    yield enter
    for each in reversed(entered):
        assert keeper().close(5)
        stats = keeper().stats()
        assert stats.captured == stats.sent + stats.queued + stats.excluded + sum(stats.dropped.values())
        each.__exit__()


@pytest.fixture(params=[call_wsgi, call_asgi], ids=["wsgi", "asgi"])
def call(request: pytest.FixtureRequest) -> Call:
    function: Call = request.param
    return function


CASES = [
    ("GET /", 200, "/"),
    ("GET /users/7/?a=1&a=2", 200, "/users/{user_id}/"),
    ("HEAD /users/7/", 200, "/users/{user_id}/"),
    ("POST /users/7/", 405, "/users/{user_id}/"),
    ("GET /users/7", 301, "/users/{user_id}/"),
    ("GET /users/x/", 404, "(unmatched)"),
    ("GET /async/7/", 200, "/async/{user_id}/"),
    ("POST /echo/", 200, "/echo/"),
    ("POST /pieces/", 200, "/pieces/"),
    ("GET /stream/", 200, "/stream/"),
    ("GET /stream/?async=1", 200, "/stream/"),
    ("GET /broken/", 200, "/broken/"),
    ("GET /broken/?async=1", 200, "/broken/"),
    ("GET /file/", 200, "/file/"),
    ("GET /file/?real=1", 200, "/file/"),
    ("HEAD /file/", 200, "/file/"),
    ("GET /parts/", 200, "/parts/"),
    ("GET /views/", 200, "/views/"),
    ("GET /cookies/", 200, "/cookies/"),
    ("GET /boom/", 500, "/boom/"),
    ("GET /boom-async/", 500, "/boom-async/"),
    ("GET /refuse/404/", 404, "/refuse/{kind}/"),
    ("GET /refuse/403/", 403, "/refuse/{kind}/"),
    ("GET /refuse/400/", 400, "/refuse/{kind}/"),
    ("GET /empty/", 204, "/empty/"),
    ("GET /tagged/", 304, "/tagged/"),
    ("GET /away/", 302, "/away/"),
    ("GET /nothing/", 500, "/nothing/"),
    ("GET /closed/7/", 503, "/closed/{user_id}/"),
    ("GET /raises/", 500, "(unmatched)"),
    ("GET /v1/things/0a/", 200, "/v1/things/{thing}/"),
    ("GET /caf%C3%A9/", 404, "(unmatched)"),
    ("GET /caf%E9/", 404, "(unmatched)"),
    ("OPTIONS *", 404, "(unmatched)"),
]


@pytest.mark.filterwarnings("ignore:StreamingHttpResponse must consume")  # Django's, with and without us
@pytest.mark.parametrize("capture", ["metadata", "bodies"])
@pytest.mark.parametrize("case", CASES, ids=lambda case: case[0])
def test_the_answer_is_the_same_with_and_without_us(
    project: Enter, call: Call, case: tuple[str, int, str], capture: str
) -> None:
    (method, target), status, route = case[0].split(), case[1], case[2]
    how = {"CONTENT_TYPE": "application/json", "HTTP_IF_NONE_MATCH": '"tag"'}
    body = b'{"a": "\xff"}\nb\nc' if method == "POST" else b""
    with Project(watched=False):
        expected = call(target, method, body, **how)
    watched = project(capture=capture)
    assert call(target, method, body, **how) == expected
    (event,) = watched.events()
    assert (event.method, event.status_code, event.route) == (method, status, route)
    assert event.request.elapsed_time is not None
    assert (event.response.first_byte_time or 0) <= event.request.elapsed_time
    if not expected.error:  # a stream of the other kind is read by Django at once, and none of it sent when it fails
        assert event.response.content_length == (0 if method == "HEAD" else len(expected.body))
        assert (event.response.first_byte_time is None) == (event.response.content_length == 0)


def test_an_event_carries_what_the_request_and_its_answer_were(project: Enter, call: Call) -> None:
    watched = project(api="shop-api", api_version=lambda request: request.headers["X-Version"])
    call(
        "/v2/users/7/?page=2&token=hunter2",
        SCRIPT_NAME="/v2/",
        HTTP_AUTHORIZATION="Bearer hunter2",
        HTTP_X_VERSION="2024-01",
        HTTP_COOKIE="sid=hunter2",
    )
    event = watched.event()
    assert "hunter2" not in json.dumps(event)
    assert (event["source"], event["api"], event["api_version"]) == ("shop", "shop-api", "2024-01")
    assert event["path"] == "/v2/users/7/"
    assert event["route"] == "/v2/users/{user_id}/"
    assert event["url"] == "http://shop.test/v2/users/7/?page=2&token=[REDACTED]"
    assert event["consumer"]["key"].startswith("key_")
    assert event["client"]["remote_address"] == "192.0.2.1"
    assert event["request"]["args"] == {"page": "2", "token": "[REDACTED]"}
    assert event["request"]["headers"]["X-Version"] == "2024-01"
    assert event["response"]["body"] == {"id": 7, "password": "[REDACTED]"}
    assert event["response"]["mimetype"] == "application/json"
    assert event["variables"] == {"below": True}


def test_the_scheme_is_that_of_the_proxy_where_django_believes_it(project: Enter, call: Call) -> None:
    watched = project(SECURE_PROXY_SSL_HEADER=("HTTP_X_FORWARDED_PROTO", "https"))
    call("/", HTTP_X_FORWARDED_PROTO="https")
    assert watched.event()["url"] == "https://shop.test/"


def test_cookies_are_headers_and_hidden(project: Enter, call: Call) -> None:
    watched = project()
    call("/cookies/")
    headers = watched.event()["response"]["headers"]
    assert (headers["X-One"], headers["Set-Cookie"]) == ("1", ["[REDACTED]"] * 2)


@pytest.mark.parametrize(
    ("target", "path", "url"),
    [
        ("/caf%C3%A9/", "/café/", "/caf%C3%A9/"),
        ("/caf%E9/", "/caf\ufffd/", "/caf%E9/"),
        ("/%25C3%25A9/", "/%C3%A9/", "/%25C3%25A9/"),
        ("/%2541/", "/%41/", "/%2541/"),
    ],
)
def test_the_path_is_what_the_client_sent(project: Enter, target: str, path: str, url: str) -> None:
    watched = project()
    call_wsgi(target)
    event = watched.event()
    assert (event["path"], event["url"]) == (path, f"http://shop.test{url}")


FORM = b"a=1&password=hunter2"
MULTIPART = (
    b"--x\r\nContent-Disposition: form-data; name=a\r\n\r\nhunter2\r\n"
    b'--x\r\nContent-Disposition: form-data; name=f; filename="f.txt"\r\n\r\n0123456789\r\n--x--\r\n'
)


@pytest.mark.parametrize(
    ("sent", "body", "shown"),
    [
        ("/echo/ application/json", b'{"a": 1, "token": "hunter2"}', {"a": 1, "token": "[REDACTED]"}),
        ("/form/ application/x-www-form-urlencoded", FORM, {"a": "1", "password": "[REDACTED]"}),
        ("/echo/ application/octet-stream", b"hunter2", None),
        ("/pieces/ text/plain", b"one\ntwo\nthree", "one\ntwo\nthree"),
        ("/users/7/ application/json", b'{"a": 1}', None),  # which nobody reads
    ],
)
def test_request_bodies(project: Enter, call: Call, sent: str, body: bytes, shown: object) -> None:
    path, kind = sent.split()
    watched = project()
    call(path, "POST", body, CONTENT_TYPE=kind)
    request = watched.event()["request"]
    assert request.get("body") == shown
    assert (request["content_length"], request["mimetype"]) == (len(body), kind)


def test_of_multipart_names_types_and_sizes(project: Enter, call: Call) -> None:
    watched = project()
    answer = call("/form/", "POST", MULTIPART, CONTENT_TYPE="multipart/form-data; boundary=x")
    assert json.loads(answer.body) == {"fields": {"a": ["hunter2"]}, "files": {"f": 10}}
    text = json.dumps(watched.event()["request"]["body"])
    assert "f.txt" in text
    assert "10" in text
    assert "hunter2" not in text
    assert "0123" not in text


def test_a_body_without_a_length_is_counted(project: Enter) -> None:
    watched = project(capture="metadata")
    call_asgi("/echo/", "POST", b"0123456789", CONTENT_LENGTH="", HTTP_TRANSFER_ENCODING="chunked")
    assert watched.event()["request"]["content_length"] == 10


def test_a_body_that_a_middleware_above_has_read(project: Enter) -> None:
    watched = project()
    request = RequestFactory().post("/echo/", b'{"a": 1}', content_type="application/json")
    assert request.body
    Tollkeeper(lambda asked: HttpResponse(asked.body))(request).close()
    assert watched.event()["request"]["body"] == {"a": 1}


def test_a_large_body_is_cut_and_counted(project: Enter, call: Call) -> None:
    watched = project(max_body_bytes=10)
    call("/echo/", "POST", b"x" * 100, CONTENT_TYPE="text/plain")
    event = watched.event()
    for side in (event["request"], event["response"]):
        assert (side["body"], side["content_length"], side["body_truncated"]) == ("x" * 10, 100, True)


@pytest.mark.parametrize("path", ["/boom/", "/boom-async/"])
def test_an_exception_is_told_and_handled_as_before(project: Enter, call: Call, path: str) -> None:
    watched = project()
    assert b"Server Error (500)" in call(path).body
    event = watched.event()
    assert event["exception"] == "ValueError('boom')"
    assert (event["error"]["type"], event["error"]["message"]) == ("ValueError", "boom")
    assert "raise ValueError" in event["error"]["traceback"]


@pytest.mark.parametrize(
    ("path", "exception"),
    [
        ("/raises/", "LookupError('in a middleware')"),
        ("/broken/", "OSError('mid-stream')"),
        ("/refuse/404/", None),
        ("/refuse/403/", None),
        ("/refuse/400/", None),
        ("/unknown/", None),
    ],
)
def test_what_is_an_exception(project: Enter, path: str, exception: str | None) -> None:
    watched = project()
    call_wsgi(path)
    assert watched.event().get("exception") == exception


def test_what_django_lets_pass_goes_to_the_server(project: Enter, call: Call) -> None:
    watched = project(DEBUG_PROPAGATE_EXCEPTIONS=True, identify=lambda _: "ann")
    assert call("/boom/").error == "ValueError('boom')"
    event = watched.event()
    assert (event["status_code"], event["route"], event["exception"]) == (500, "/boom/", "ValueError('boom')")
    assert event["consumer"] == {"key": "ann"}


def test_what_ends_the_worker_passes_and_is_recorded(project: Enter) -> None:
    watched = project()
    assert call_wsgi("/exit/").error == "SystemExit(3)"
    assert watched.event()["exception"] == "SystemExit(3)"


@pytest.mark.parametrize("path", ["/tells/", "/tells-async/"])
@pytest.mark.parametrize("middleware", [(), (SYNC_BELOW,)], ids=["as it is", "sync middleware"])
def test_views_tell_more_of_the_request_in_hand(
    project: Enter, call: Call, path: str, middleware: tuple[str, ...]
) -> None:
    watched = project(middleware=middleware, identify=lambda _: "not asked")
    assert call(path).status in {200, "200 OK"}
    event = watched.event()
    assert event["variables"]["place"] == "view"
    assert event["units"] == "3"
    assert event["consumer"] == {"key": "ann", "label": "Ann"}
    assert ("task" in event["variables"]) == (path == "/tells-async/")


def test_skipped_and_excluded_requests_leave_no_event(project: Enter, call: Call) -> None:
    watched = project(exclude=["/users/*", 404, "support.django_project.is_home"])
    for path in ("/skips/", "/users/7/", "/unknown/", "/", "/stream/"):
        call(path)
    assert [event.path for event in watched.events()] == ["/stream/"]
    assert keeper().stats().excluded == 4


def whoami(request: Any) -> str:
    return f"{request.resolver_match.kwargs['user_id']} by {request.method}"


async def whoami_async(request: Any) -> str:
    return whoami(request)


class Lazy:
    """Who needs the database, as ``request.user`` does."""

    threads: set[int]

    def __init__(self) -> None:
        self.threads = set()

    def __call__(self, request: Any) -> str:
        thread = threading.get_ident()
        self.threads.add(thread)
        if thread == threading.main_thread().ident:
            raise SynchronousOnlyOperation("use sync_to_async")
        return whoami(request)


@pytest.mark.parametrize("identify", [whoami, whoami_async])
@pytest.mark.parametrize("middleware", [(), (SYNC_BELOW,)], ids=["as it is", "sync middleware"])
@pytest.mark.parametrize("path", ["/users/7/", "/async/7/"])
def test_identify_is_asked_when_the_answer_is_ready(
    project: Enter, call: Call, identify: Any, middleware: tuple[str, ...], path: str
) -> None:
    watched = project(middleware=middleware, identify=identify)
    call(path)
    assert watched.event()["consumer"] == {"key": "7 by GET"}


def test_an_identify_may_return_what_is_to_be_awaited(project: Enter) -> None:
    watched = project(middleware=(), identify=lambda request: whoami_async(request))  # noqa: PLW0108 - a function of its own
    call_asgi("/async/7/")
    assert watched.event()["consumer"] == {"key": "7 by GET"}


def test_an_identify_that_asks_the_database_runs_where_it_may(project: Enter) -> None:
    lazy = Lazy()
    watched = project(middleware=(), identify=lazy)
    call_asgi("/async/7/")
    assert watched.event()["consumer"] == {"key": "7 by GET"}
    assert len(lazy.threads) == 2


def raises(_: Any) -> str:
    raise KeyError("nobody")


def whoami_gone(_: Any) -> str:
    return "ann"


async def whoami_gone_async(_: Any) -> str:
    await asyncio.sleep(0)
    return "ann"


async def raises_async(_: Any) -> str:
    raise KeyError("nobody")


def recurses(request: Any) -> str:
    return recurses(request)


@pytest.mark.parametrize("identify", [raises, raises_async, recurses, lambda _: object()])
def test_an_identify_that_fails_harms_nobody(
    project: Enter, call: Call, identify: Any, caplog: pytest.LogCaptureFixture
) -> None:
    watched = project(identify=identify)
    for _ in range(3):
        assert json.loads(call("/users/7/").body)["id"] == 7
    assert [event.consumer for event in watched.events()] == [None] * 3
    assert sum("'identify'" in record.getMessage() for record in caplog.records) == 1


@pytest.mark.parametrize(
    "name",
    [
        "tollkeeper.capture.django_watch.note_environ",
        "tollkeeper.capture.django_watch.is_kept",
        "tollkeeper.capture.django_watch.Watch._saw",
        "tollkeeper.capture.django_watch._read",
        "tollkeeper.capture.django_watch.BodyStart.kept",
        "tollkeeper.capture.exchange.Exchange.weight",
    ],
)
@pytest.mark.parametrize("path", ["/users/7/", "/stream/"])
@pytest.mark.filterwarnings("ignore:StreamingHttpResponse must consume")  # Django's
def test_our_own_faults_are_counted_and_harm_nobody(
    project: Enter, call: Call, monkeypatch: pytest.MonkeyPatch, name: str, path: str
) -> None:
    def fault(*_: object, **__: object) -> None:
        raise RuntimeError("planted")

    watched = project()
    expected = call(path)
    assert len(watched.events()) == 1
    monkeypatch.setattr(name, fault)
    assert call(path) == expected
    assert len(watched.events()) == 1
    assert keeper().stats().dropped == {"error": 1}


def test_a_stream_is_not_buffered_and_its_time_counts(project: Enter) -> None:
    watched = project()
    response = WSGIHandler()(environ("/stream/"), lambda *_: None)
    chunks = iter(response)
    assert keeper().stats().captured == 0
    assert next(chunks) == b"0\n"
    assert keeper().stats().captured == 0
    assert list(chunks) == [b"1\n", b"2\n"]
    assert watched.event()["response"]["body"] == "0\n1\n2\n"
    response.close()
    assert len(watched.events()) == 1


def test_a_client_that_leaves_a_stream_closes_it(project: Enter) -> None:
    watched = project()
    response = WSGIHandler()(environ("/endless/"), lambda *_: None)
    assert next(iter(response)) == b"more"
    response.close()
    assert ENDED == ["stream"]
    event = watched.event()
    assert (event["response"]["content_length"], event["status_code"]) == (4, 200)
    assert "exception" not in event


async def leave_after(target: str, *, chunks: int) -> None:
    """Ask for something over ASGI, and go away when so many chunks have come."""
    left = asyncio.Event()
    came: list[object] = []
    asked = [{"type": "http.request"}]

    async def receive() -> dict[str, Any]:
        if asked:
            return asked.pop()
        await asyncio.wait_for(left.wait(), 5)
        return {"type": "http.disconnect"}

    async def send(message: dict[str, Any]) -> None:
        came.append(message)
        if len(came) > chunks:
            left.set()
            await asyncio.sleep(0)

    served = asyncio.ensure_future(ASGIHandler()(scope(target), receive, send))
    if not chunks:
        await asyncio.sleep(0.05)
        left.set()
    await asyncio.wait_for(served, 10)


@pytest.mark.parametrize("target", ["/endless/?async=waits", "/endless/?async=runs"])
def test_a_client_that_leaves_an_asynchronous_stream(project: Enter, target: str) -> None:
    watched = project()
    asyncio.run(leave_after(target, chunks=1))
    event = watched.event()
    assert ENDED == ["stream"]
    assert event["status_code"] == 200
    assert event["response"]["content_length"] >= 4
    assert "exception" not in event


@pytest.mark.parametrize("identify", [whoami_gone, whoami_gone_async])
def test_a_client_that_leaves_before_the_answer(project: Enter, identify: Any) -> None:
    watched = project(identify=identify)
    asyncio.run(leave_after("/waits/", chunks=0))
    event = watched.event()
    assert ENDED == ["view"]
    assert (event["status_code"], event["route"], event["consumer"]) == (499, "/waits/", {"key": "ann"})
    assert "exception" not in event


def test_a_request_that_is_thrown_away_before_the_answer(project: Enter) -> None:
    async def never(_: Any) -> Any:
        await asyncio.Event().wait()

    async def begin() -> None:
        answering = Tollkeeper(never)(RequestFactory().get("/waits/"))
        answering.send(None)
        answering.close()

    watched = project(identify=whoami_gone_async)
    asyncio.run(begin())
    assert watched.event()["status_code"] == 499


def test_a_server_that_shuts_down_hears_that_all_is_delivered(project: Enter) -> None:
    watched = project(TOLLKEEPER_FLUSH_SECONDS=60.0)
    asked = ["lifespan.startup", "lifespan.shutdown"]
    said: list[tuple[str, int]] = []

    async def receive() -> dict[str, str]:
        return {"type": asked.pop(0)}

    async def send(message: dict[str, str]) -> None:
        said.append((message["type"], len(watched.sink.events)))

    async def serve() -> None:
        application = lifespan(ASGIHandler())
        call_wsgi("/")
        await application({"type": "lifespan"}, receive, send)
        with pytest.raises(ValueError, match="websocket"):  # Django's own answer
            await application({"type": "websocket"}, receive, send)

    asyncio.run(serve())
    assert said == [("lifespan.startup.complete", 0), ("lifespan.shutdown.complete", 1)]


class FileWrapper:
    """A server's way to send a file by itself."""

    def __init__(self, file: Any, size: int) -> None:
        self.file, self.size = file, size
        self.close = file.close


def test_a_file_that_the_server_sends_by_itself_stays_what_it_is(project: Enter) -> None:
    watched = project()
    result: Any = WSGIHandler()(environ("/file/") | {"wsgi.file_wrapper": FileWrapper}, lambda *_: None)
    assert isinstance(result, FileWrapper)
    assert (result.file.read(), result.size) == (FILE, 4096)
    assert keeper().stats().captured == 0
    result.close()
    assert result.file.closed
    event = watched.event()["response"]
    assert event["content_length"] == len(FILE)
    assert event["first_byte_time"] >= 0


def test_a_file_is_read_in_the_pieces_that_the_server_wants(project: Enter) -> None:
    watched = project()
    assert list(map(len, call_wsgi("/file/").chunks)) == [4096, 4096, 1808]
    assert list(map(len, call_wsgi("/file/?real=1").chunks)) == [4096, 4096, 1808]
    assert [event.response.content_length for event in watched.events()] == [len(FILE)] * 2


def test_neither_the_request_nor_its_response_is_kept_alive(project: Enter) -> None:
    project(TOLLKEEPER_FLUSH_SECONDS=60.0)
    gc.collect()
    gc.disable()
    try:
        for path in ("/stream/", "/file/", "/users/7/"):
            response = WSGIHandler()(environ(path), lambda *_: None)
            list(response)
            response.close()
            alive = weakref.ref(response)
            del response
            assert alive() is None, path
    finally:
        gc.enable()


def test_a_response_that_nobody_closes_is_recorded(project: Enter) -> None:
    watched = project()
    for _ in range(2):
        WSGIHandler()(environ("/stream/"), lambda *_: None)
    assert len(watched.events()) == 1  # the other one may still be sent
    assert call_wsgi("/").status == "200 OK"
    gc.collect()
    assert len(watched.events()) == 3


def test_nothing_moves_to_another_thread(project: Enter) -> None:
    project(middleware=())
    here = str(threading.get_ident()).encode()
    assert call_wsgi("/thread/").body == here
    assert call_asgi("/thread-async/").body == here


def test_the_test_client(project: Enter) -> None:
    watched = project()
    assert Client().get("/users/7/").json() == {"id": 7, "password": "hunter2"}
    assert b"".join(Client().get("/stream/")) == b"0\n1\n2\n"
    with pytest.raises(ValueError, match="boom"):
        Client().get("/boom/")

    async def ask() -> None:
        assert (await AsyncClient().get("/users/7/")).json()["id"] == 7

    asyncio.run(ask())
    assert [(event.route, event.status_code) for event in watched.events()] == [
        ("/users/{user_id}/", 200),
        ("/stream/", 200),
        ("/boom/", 500),
        ("/users/{user_id}/", 200),
    ]


def test_a_bare_request_of_a_unit_test(project: Enter) -> None:
    watched = project()
    request = HttpRequest()
    request.META["CONTENT_TYPE"] = "application/json"
    Tollkeeper(lambda _: HttpResponse("x"))(request).close()
    assert watched.event()["method"] == "UNKNOWN"


def test_an_app_around_the_project_hears_what_its_views_tell(project: Enter) -> None:
    watched = project()
    recorder = keeper()._recorder
    assert recorder is not None
    app = WSGIObserver(WSGIHandler(), recorder, "around", lambda *_: None)
    result: Any = app(environ("/tells/"), lambda *_: lambda _: None)
    list(result)
    result.close()
    outer, inner = sorted(watched.events(), key=lambda event: event.source)
    assert (inner.source, outer.source) == ("shop", "around")
    assert inner.units == outer.units == 3


def test_a_middleware_that_is_there_twice_counts_once(project: Enter, call: Call) -> None:
    watched = project(middleware=(OURS,))
    call("/tells/")
    assert watched.event()["variables"] == {"place": "view"}


def test_a_request_can_be_pickled_and_copied(project: Enter) -> None:
    project(middleware=())
    request = RequestFactory().post("/echo/", b"{}", content_type="application/json")
    Tollkeeper(lambda asked: HttpResponse(asked.body))(request).close()
    for again in (copy.copy(request), copy.deepcopy(request), pickle.loads(pickle.dumps(request))):
        assert again.body == b"{}"


def test_a_view_may_call_the_project_itself(project: Enter, call: Call) -> None:
    watched = project(middleware=())
    call("/nested/")
    outer, inner = sorted(watched.events(), key=lambda event: event.path)[::-1]
    assert (inner.path, inner.exception) == ("/", None)
    assert (outer.path, outer.exception) == ("/nested/", "ValueError('after it')")


def test_all_chains_of_a_process_share_a_recorder(project: Enter) -> None:
    project()
    first, second = keeper(), keeper()
    assert first is second
    call_wsgi("/")
    call_asgi("/")
    with override_settings(DEBUG=True):
        Client().get("/")
    assert first.flush(5)
    assert first.stats().captured == 3


def test_chains_that_are_made_at_once_share_a_recorder_too(project: Enter, monkeypatch: pytest.MonkeyPatch) -> None:
    both = threading.Barrier(2, timeout=10)

    def read(options: dict[str, Any]) -> dict[str, Any]:
        both.wait()
        return dict(options)

    project()
    with monkeypatch.context() as patch, ThreadPoolExecutor(2) as pool:
        patch.setattr("tollkeeper.django.read_functions", read)
        first, second = pool.submit(keeper), pool.submit(keeper)
        assert first.result(20) is second.result(20)


def test_other_settings_have_their_own(project: Enter) -> None:
    watched = project()
    call_wsgi("/")
    assert [event.path for event in watched.events()] == ["/"]
    other = project()
    call_wsgi("/users/7/")
    assert [event.path for event in other.events()] == ["/users/7/"]
    assert len(watched.sink.events) == 1


def test_the_source_is_named_after_the_project(project: Enter) -> None:
    watched = project(source=None)
    call_wsgi("/")
    assert watched.event()["source"] == "support"


@pytest.mark.parametrize("where", ["environment", "settings", "options"])
def test_the_sink_comes_from_the_settings(
    project: Enter, where: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = f"sqlite:///{tmp_path}/usage.db"
    if where == "environment":
        monkeypatch.setenv("TOLLKEEPER_SINK", url)
    project(sink=url if where == "options" else None, **({"TOLLKEEPER_SINK": url} if where == "settings" else {}))
    call_wsgi("/")
    assert keeper().flush(10)
    assert keeper().stats().sent == 1
    assert (tmp_path / "usage.db").exists()


@pytest.mark.parametrize("given", [{"sink": None}, None])
def test_without_a_sink_it_warns_once_and_is_left_out(
    project: Enter, call: Call, given: Any, caplog: pytest.LogCaptureFixture
) -> None:
    project()
    with override_settings(TOLLKEEPER=given or {}), caplog.at_level(logging.WARNING, "tollkeeper"):
        assert call("/").body == b"home"
        assert call("/").body == b"home"
        with pytest.raises(MiddlewareNotUsed):
            Tollkeeper(HttpResponse)
        assert keeper().flush()
        assert keeper().stats().captured == 0
    assert caplog.text.count("TOLLKEEPER_SINK") == 1


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"sink": "kafka://x"}, "memory:"),
        ({"capture": "all"}, "metadata"),
        ({"colour": "red"}, "colour"),
        ({"identify": "shop.nowhere.find"}, "identify"),
        ({"identify": "plain"}, "identify"),
        ({"identify": "tollkeeper.errors.__name__"}, "identify"),
        ({"identify": "not a path"}, "identify"),
        ({"exclude": ["shop.nowhere.find"]}, "exclude"),
        ({"exclude": "/health"}, "exclude"),
        ("sqlite:///usage.db", "dict"),
    ],
)
def test_what_is_wrong_is_said_when_the_middleware_is_loaded(project: Enter, options: Any, says: str) -> None:
    project()
    with override_settings(TOLLKEEPER=options), pytest.raises(ConfigurationError, match=says):
        WSGIHandler()


def test_functions_may_be_named_by_their_paths(project: Enter) -> None:
    watched = project(identify=f"{__name__}.whoami", redact="support.django_project.hide_all")
    call_wsgi("/users/7/?a=1")
    event = watched.event()
    assert event["consumer"] == {"key": "7 by GET"}


@pytest.mark.parametrize("name", ["tollkeeper.django.route_template", "tollkeeper.capture.exchange.note_failure"])
def test_what_cannot_be_noted_of_a_failing_request_is_left_out(
    project: Enter, call: Call, monkeypatch: pytest.MonkeyPatch, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    def fault(*_: object) -> None:
        raise RuntimeError("planted")

    watched = project()
    monkeypatch.setattr(name, fault)
    assert b"Server Error (500)" in call("/boom/").body
    assert watched.event()["status_code"] == 500
    assert "planted" in caplog.text


def test_a_signal_of_no_request_is_none_of_ours(project: Enter) -> None:
    watched = project()
    keeper()
    got_request_exception.send(sender=None, request=None)
    assert watched.events() == []
