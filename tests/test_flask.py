from __future__ import annotations

import gzip
import io
import json
import logging
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import flask
import pytest
from flask import Flask, Response, abort, g, redirect, request, send_file, stream_with_context
from werkzeug.middleware.dispatcher import DispatcherMiddleware
from werkzeug.test import EnvironBuilder, run_wsgi_app

import tollkeeper
from tollkeeper.capture.environ import ENVIRON_KEY
from tollkeeper.errors import ConfigurationError, SinkError
from tollkeeper.events.event import Consumer, UsageEvent
from tollkeeper.flask import Tollkeeper
from tollkeeper.sinks.memory import MemorySink

if TYPE_CHECKING:
    from pathlib import Path

FILE = b"0123456789" * 1000


def make_app(**config: object) -> Flask:
    app = Flask("shop")
    app.config.update({"TOLLKEEPER_FLUSH_SECONDS": 0.02} | config)

    @app.get("/users/<int:user_id>")
    def user(user_id: int) -> dict[str, Any]:
        return {"id": user_id, "password": "hunter2"}

    @app.post("/echo")
    def echo() -> Response:
        return Response(request.get_data(), mimetype="application/json")

    @app.post("/form")
    def form() -> str:
        return ",".join([*request.form, *request.files])

    @app.route("/slash/")
    def slash() -> str:
        return "slash"

    @app.get("/teapot/<path:rest>")
    def teapot(rest: str) -> str:
        abort(418, rest)

    @app.get("/boom")
    def boom() -> str:
        raise ValueError("boom")

    add_answers(app)
    return app


def add_answers(app: Flask) -> None:
    @app.get("/stream")
    def stream() -> Response:
        return Response(stream_with_context(f"{n}\n" for n in range(3)))

    @app.get("/broken")
    def broken() -> Response:
        def chunks() -> Iterator[str]:
            yield "a"
            raise OSError("mid-stream")

        return Response(chunks())

    @app.get("/file")
    def file() -> Response:
        return send_file(io.BytesIO(FILE), mimetype="application/octet-stream")

    @app.get("/duplicates")
    def duplicates() -> Response:
        return Response("", headers=[("X-Many", "1"), ("X-Many", "2"), ("Set-Cookie", "sid=hunter2")])

    @app.get("/away")
    def away() -> Any:
        return redirect("/users/1?token=hunter2")

    @app.get("/empty")
    def empty() -> tuple[str, int]:
        return "", 204


class Watched:
    """An app, what it answers, and the events that came of it."""

    def __init__(self, app: Flask | None = None, **options: Any) -> None:
        self.app = app or make_app()
        self.sink = MemorySink()
        self.keeper = Tollkeeper(self.app, **({"sink": self.sink} | options))

    def open(self, path: str, method: str = "GET", **how: Any) -> Any:
        return self.app.test_client().open(path, method=method, buffered=True, **how)

    def events(self) -> list[UsageEvent]:
        assert self.keeper.flush(10)
        return self.sink.events

    def event(self, path: str, method: str = "GET", **how: Any) -> dict[str, Any]:
        self.open(path, method, **how)
        return self.events()[-1].document()


@pytest.fixture
def watch() -> Iterator[Callable[..., Watched]]:
    made: list[Watched] = []

    def make(app: Flask | None = None, **options: Any) -> Watched:
        made.append(Watched(app, **options))
        return made[-1]

    yield make
    for each in made:
        each.keeper.close(5)
        stats = each.keeper.stats()
        assert stats.captured == stats.sent + stats.queued + stats.excluded + sum(stats.dropped.values())


Watch = Callable[..., Watched]


def answer(app: Flask, path: str, method: str = "GET", **how: Any) -> tuple[object, ...]:
    try:
        response = app.test_client().open(path, method=method, buffered=True, **how)
    except Exception as error:  # noqa: BLE001 - what the host raises is compared as well
        return (repr(error),)
    headers = [header for header in response.headers if header[0] != "Date"]  # send_file's, which ticks
    return response.status, headers, response.data


CASES = [
    ("/users/7", "GET", 200, "/users/{user_id}"),
    ("/users/7", "HEAD", 200, "/users/{user_id}"),
    ("/users/7", "OPTIONS", 200, "/users/{user_id}"),
    ("/users/7", "DELETE", 405, "/users/{user_id}"),
    ("/nothing", "GET", 404, "(unmatched)"),
    ("/slash", "GET", 308, "/slash/"),
    ("/slash/", "GET", 200, "/slash/"),
    ("/teapot/a/b", "GET", 418, "/teapot/{rest}"),
    ("/boom", "GET", 500, "/boom"),
    ("/stream", "GET", 200, "/stream"),
    ("/broken", "GET", 200, "/broken"),
    ("/file", "GET", 200, "/file"),
    ("/duplicates", "GET", 200, "/duplicates"),
    ("/away", "GET", 302, "/away"),
    ("/empty", "GET", 204, "/empty"),
    ("/caf%E9", "GET", 404, "(unmatched)"),
]


@pytest.mark.parametrize("propagate", [False, True])
@pytest.mark.parametrize("capture", ["metadata", "headers", "bodies"])
@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case[1]} {case[0]}")
def test_the_answer_is_the_same_with_and_without_us(
    watch: Watch, case: tuple[str, str, int, str], capture: str, *, propagate: bool
) -> None:
    path, method, status, route = case
    watched = watch(make_app(PROPAGATE_EXCEPTIONS=propagate), capture=capture)
    assert answer(watched.app, path, method) == answer(make_app(PROPAGATE_EXCEPTIONS=propagate), path, method)
    (event,) = watched.events()
    assert (event.method, event.status_code, event.route) == (method, status, route)
    assert event.request.elapsed_time is not None


def test_an_event_carries_what_document_000_lists(watch: Watch) -> None:
    before = time.time()
    event = watch(api="shop-api", api_version=lambda request: request.headers["X-Version"]).event(
        "/users/7?page=2&token=hunter2",
        headers={
            "Authorization": "Bearer hunter2",
            "X-Version": "2024-01",
            "Referer": "http://localhost/?session=hunter2",
            "Origin": "http://localhost",
            "X-Real-IP": "9.9.9.9",
        },
    )
    assert "hunter2" not in json.dumps(event)
    assert event["source"] == "shop"
    assert event["path"] == "/users/7"
    assert event["url"] == "http://localhost/users/7?page=2&token=[REDACTED]"
    assert event["consumer"]["key"].startswith("key_")
    assert (event["api"], event["api_version"]) == ("shop-api", "2024-01")
    assert "exception" not in event
    assert event["client"]["remote_address"] == "127.0.0.1"
    assert event["client"]["authorization"] == "Bearer [REDACTED]"
    assert event["client"]["referer"] == "http://localhost/?session=[REDACTED]"
    assert event["request"]["args"] == {"page": "2", "token": "[REDACTED]"}
    assert event["request"]["headers"]["X-Version"] == "2024-01"
    assert event["response"]["mimetype"] == "application/json"
    assert event["response"]["body"] == {"id": 7, "password": "[REDACTED]"}
    assert event["response"]["content_length"] == len(b'{"id":7,"password":"hunter2"}\n')
    assert time.gmtime(before).tm_year == int(event["time"][:4])


def test_levels_of_capture(watch: Watch) -> None:
    for capture, headers, body in (("metadata", False, False), ("headers", True, False), ("bodies", True, True)):
        event = watch(capture=capture).event("/echo?a=1", "POST", json={"a": 1})
        assert ("headers" in event["request"], "headers" in event["response"]) == (headers, headers)
        assert ("body" in event["request"], "body" in event["response"]) == (body, body)
        assert event["request"]["args"] == {"a": "1"}
        assert (event["request"]["mimetype"], event["response"]["mimetype"]) == ("application/json",) * 2


def test_duplicate_headers_are_kept_and_cookies_are_not(watch: Watch) -> None:
    headers = watch().event("/duplicates")["response"]["headers"]
    assert headers["X-Many"] == ["1", "2"]
    assert headers["Set-Cookie"] == "[REDACTED]"
    assert watch().event("/away")["response"]["headers"]["Location"] == "/users/1?token=[REDACTED]"


@pytest.mark.parametrize(
    ("data", "content_type", "body"),
    [
        (b'{"a": 1}', "application/json", {"a": 1}),
        (b"{not json", "application/json", "{not json"),
        (b"a=1&password=2&a=3", "application/x-www-form-urlencoded", {"a": ["1", "3"], "password": "[REDACTED]"}),
        (b"hello", "text/plain; charset=utf-8", "hello"),
        (b"\x00\x01", "application/octet-stream", None),
    ],
)
def test_bodies_that_are_kept(watch: Watch, data: bytes, content_type: str, body: object) -> None:
    event = watch().event("/echo", "POST", data=data, content_type=content_type)
    assert event["request"].get("body") == body
    assert event["request"]["content_length"] == event["response"]["content_length"] == len(data)


def test_a_large_body_is_cut_marked_and_counted_in_full(watch: Watch) -> None:
    data = json.dumps({"id": 7, "text": "x" * 200, "password": "hunter2"}).encode()
    event = watch(max_body_bytes=100).event("/echo", "POST", data=data, content_type="application/json")
    for half in (event["request"], event["response"]):
        assert (half["body"], half["body_truncated"], half["content_length"]) == ({"id": 7}, True, len(data))


def test_of_multipart_only_names_types_and_sizes(watch: Watch) -> None:
    data = {"note": "hunter2", "avatar": (io.BytesIO(b"x" * 5000), "a.png", "image/png")}
    event = watch().event("/form", "POST", data=data)
    assert "hunter2" not in json.dumps(event)
    assert event["request"]["body"] == [
        {"name": "note", "size": 7},
        {"name": "avatar", "filename": "a.png", "content_type": "image/png", "size": 5000},
    ]


def test_content_types_to_keep_can_be_chosen(watch: Watch) -> None:
    watched = watch(content_types=["text/csv"])
    assert watched.event("/echo", "POST", data=b"a,b", content_type="text/csv")["request"]["body"] == "a,b"
    assert "body" not in watched.event("/echo", "POST", json={})["request"]


def test_a_body_of_unknown_length(watch: Watch) -> None:
    for capture in ("bodies", "metadata"):
        watched = watch(capture=capture)
        environ = EnvironBuilder("/echo", method="POST", content_type="application/json").get_environ()
        environ |= {"wsgi.input": io.BytesIO(b'{"a": 1}'), "wsgi.input_terminated": True}
        environ |= {"HTTP_TRANSFER_ENCODING": "chunked"}
        environ.pop("CONTENT_LENGTH", None)
        run_wsgi_app(watched.app, environ, buffered=True)
        event = watched.events()[-1].document()
        assert event["request"].get("body") == ({"a": 1} if capture == "bodies" else None)
        assert event["request"]["content_length"] == 8


def test_a_compressed_answer_is_unpacked_to_be_shown(watch: Watch) -> None:
    app = make_app()
    packed = gzip.compress(b'{"a": 1, "pin": 2}')

    @app.get("/packed")
    def answer_packed() -> Response:
        return Response(packed, mimetype="application/json", headers={"Content-Encoding": "gzip"})

    response = watch(app).event("/packed")["response"]
    assert (response["body"], response["content_length"]) == ({"a": 1, "pin": "[REDACTED]"}, len(packed))


def test_a_sample_keeps_details_of_some_and_counts_all(watch: Watch) -> None:
    watched = watch(sample=0.5)
    for _ in range(100):
        watched.open("/users/7")
    events = [event.document() for event in watched.events()]
    assert len(events) == 100
    detailed = [event for event in events if "headers" in event["request"]]
    assert 10 < len(detailed) < 90
    assert all("body" in event["response"] for event in detailed)
    assert all(event["route"] == "/users/{user_id}" for event in events)


def test_what_is_excluded_is_counted_and_nothing_else(watch: Watch) -> None:
    watched = watch(exclude=["/users/*", "OPTIONS", 404, lambda asked: asked.path == "/stream"])
    for path, method in (("/users/7", "GET"), ("/slash/", "OPTIONS"), ("/none", "GET"), ("/stream", "GET")):
        watched.open(path, method)
    watched.open("/slash/")
    assert [event.path for event in watched.events()] == ["/slash/"]
    assert watched.keeper.stats().excluded == 4


def test_a_view_can_say_more_of_its_request(watch: Watch) -> None:
    app = make_app()

    @app.get("/told")
    def told() -> str:
        tollkeeper.set_consumer("ann", label="Ann")
        tollkeeper.set_units("2.5")
        tollkeeper.track(model="large", pages=7, api_key="hunter2", odd=object)
        exchange = tollkeeper.current()
        assert exchange is not None
        return exchange.id

    @app.get("/skipped")
    def skipped() -> str:
        tollkeeper.skip()
        tollkeeper.set_units(-1)
        return ""

    watched = watch(app, identify=lambda _: "nobody")
    told_id = watched.open("/told").text
    watched.open("/skipped")
    (event,) = (event.document() for event in watched.events())
    assert event["id"] == told_id
    assert (event["consumer"], event["units"]) == ({"key": "ann", "label": "Ann"}, "2.5")
    assert event["variables"] == {"model": "large", "pages": 7, "api_key": "[REDACTED]", "odd": "<class 'object'>"}
    stats = watched.keeper.stats()
    assert (stats.excluded, stats.errors) == (1, {"current": 1})
    assert tollkeeper.current() is None
    tollkeeper.track(nothing="happens here")


def test_an_exception_has_type_message_and_traceback(watch: Watch) -> None:
    for propagate in (False, True):
        watched = watch(make_app(PROPAGATE_EXCEPTIONS=propagate))
        answer(watched.app, "/boom")
        error = watched.events()[0].document()["error"]
        assert (error["type"], error["message"]) == ("ValueError", "boom")
        assert 'raise ValueError("boom")' in error["traceback"]


def test_the_sent_bytes_are_counted_to_where_the_client_went_away(watch: Watch) -> None:
    watched = watch()
    response = watched.app.test_client().get("/stream")
    assert next(response.iter_encoded()) == b"0\n"
    response.close()
    (event,) = watched.events()
    assert (event.response.content_length, event.exception) == (2, None)


def test_a_stream_is_not_buffered_and_its_time_counts(watch: Watch) -> None:
    app = make_app()
    made: list[int] = []

    @app.get("/slow")
    def slow() -> Response:
        def chunks() -> Iterator[str]:
            for number in range(3):
                made.append(number)
                time.sleep(0.05)
                yield str(number)

        return Response(chunks())

    watched = watch(app)
    response = app.test_client().get("/slow")
    assert made == [0]  # the test client takes the first chunk, to see the status
    assert watched.keeper.stats().captured == 0
    chunks = response.iter_encoded()
    next(chunks)
    assert made == [0]
    assert list(chunks) == [b"1", b"2"]
    (event,) = watched.events()
    assert event.request.elapsed_time is not None
    assert 0.15 <= event.request.elapsed_time < 5
    response.close()


def test_exceptions_are_told_by_their_repr(watch: Watch) -> None:
    for propagate in (False, True):
        watched = watch(make_app(PROPAGATE_EXCEPTIONS=propagate))
        answer(watched.app, "/boom")
        answer(watched.app, "/broken")
        boom, broken = (event.document() for event in watched.events())
        assert (boom["exception"], boom["status_code"]) == ("ValueError('boom')", 500)
        assert (broken["exception"], broken["status_code"]) == ("OSError('mid-stream')", 200)


def test_what_ends_the_worker_passes_and_is_recorded(watch: Watch) -> None:
    app = make_app()

    class Odd(BaseException):
        def __repr__(self) -> str:
            raise RuntimeError("no repr")

    @app.get("/exit")
    def leave() -> str:
        raise SystemExit(3)

    @app.get("/odd")
    def odd() -> str:
        raise Odd

    watched = watch(app)
    with pytest.raises(SystemExit):
        watched.open("/exit")
    with pytest.raises(Odd):
        watched.open("/odd")
    assert [event.exception for event in watched.events()] == ["SystemExit(3)", "Odd"]


@pytest.mark.parametrize(
    ("answer", "consumer"),
    [
        (None, None),
        ("ann", {"key": "ann"}),
        ({"key": "ann", "email": "a@b.c", "other": 1}, {"key": "ann", "email": "a@b.c"}),
        (Consumer(key="ann", group="g"), {"key": "ann", "group": "g"}),
    ],
)
def test_identify(watch: Watch, answer: object, consumer: dict[str, str] | None) -> None:
    event = watch(identify=lambda _: answer).event("/users/1", headers={"X-API-Key": "k"})
    assert event.get("consumer") == consumer


def test_identify_runs_in_the_context_of_the_request_once_after_the_view(watch: Watch) -> None:
    app = make_app()
    calls: list[str] = []

    @app.before_request
    def login() -> None:
        g.user = "ann"

    def identify(asked: flask.Request) -> str:
        calls.append(asked.path)
        return f"{g.user}{asked.view_args}"

    watched = watch(app, identify=identify)
    assert watched.event("/users/1")["consumer"]["key"] == "ann{'user_id': 1}"
    assert watched.event("/boom")["consumer"]["key"] == "ann{}"
    assert watched.event("/nothing")["consumer"]["key"] == "annNone"
    assert calls == ["/users/1", "/boom", "/nothing"]


def raises(_: flask.Request) -> str:
    raise KeyError("nobody")


def recurses(asked: flask.Request) -> str:
    return recurses(asked)


def aborts(_: flask.Request) -> str:
    abort(403)


@pytest.mark.parametrize("identify", [raises, recurses, aborts, lambda _: object(), lambda _: {"label": "x"}])
def test_an_identify_that_fails_harms_nobody(watch: Watch, identify: Any, caplog: pytest.LogCaptureFixture) -> None:
    watched = watch(identify=identify, api=raises)
    for _ in range(3):
        assert watched.open("/users/1").status_code == 200
    assert [event.consumer for event in watched.events()] == [None] * 3
    assert watched.keeper.stats().errors == {"identify": 3, "api": 3}
    assert sum("'identify'" in record.getMessage() for record in caplog.records) == 1


def test_an_identify_that_sleeps_holds_up_no_other_request(watch: Watch) -> None:
    gate = threading.Event()

    def sleeps(asked: flask.Request) -> str:
        if asked.path == "/stream":
            gate.wait(10)
        return "x"

    watched = watch(identify=sleeps)
    slow = threading.Thread(target=watched.open, args=("/stream",))
    slow.start()
    assert watched.event("/users/1")["path"] == "/users/1"
    gate.set()
    slow.join(10)
    assert len(watched.events()) == 2


def test_a_sink_that_raises_harms_nobody() -> None:
    class Broken:
        def send(self, events: Sequence[UsageEvent]) -> None:
            raise SinkError(f"no room for {len(events)}", retry=False)

        def close(self) -> None:
            raise RuntimeError("close")

    app = make_app()
    keeper = Tollkeeper(app, sink=Broken())
    for _ in range(3):
        assert app.test_client().get("/users/1", buffered=True).status_code == 200
    assert keeper.flush(5)
    assert keeper.stats().dropped == {"sink": 3}
    assert keeper.close(5)


def test_our_own_faults_are_counted_and_harm_nobody(watch: Watch, monkeypatch: pytest.MonkeyPatch) -> None:
    def fault(*_: object, **__: object) -> None:
        raise RuntimeError("planted")

    expected = answer(make_app(), "/users/1")
    for name in (
        "tollkeeper.capture.wsgi_watch.note_environ",
        "tollkeeper.capture.wsgi_watch.keep_answer",
        "tollkeeper.capture.wsgi_watch.perf_counter",
        "tollkeeper.capture.body.BodyStart.feed",
        "tollkeeper.capture.exchange.Exchange.weight",
        "tollkeeper.capture.queue.Queue.put",
        "tollkeeper.flask._name_route",
        "tollkeeper.flask._template",
        "tollkeeper.capture.document._event",
    ):
        with monkeypatch.context() as patch:
            patch.setattr(name, fault)
            watched = watch()
            assert answer(watched.app, "/users/1") == expected, name
            assert watched.keeper.flush(5)
        assert watched.keeper.stats().dropped == {"error": 1}, name


def test_a_fault_of_ours_while_the_host_fails_changes_nothing(watch: Watch, monkeypatch: pytest.MonkeyPatch) -> None:
    def fault(*_: object) -> None:
        raise RuntimeError("planted")

    expected = answer(make_app(), "/boom")
    monkeypatch.setattr("tollkeeper.capture.exchange.note_failure", fault)
    watched = watch()
    assert answer(watched.app, "/boom") == expected
    assert watched.events()[0].status_code == 500


def test_a_full_queue_is_counted_to_the_event() -> None:
    gate = threading.Event()

    class Hanging(MemorySink):
        def send(self, events: Sequence[UsageEvent]) -> None:
            gate.wait(10)
            super().send(events)

    app = make_app(TOLLKEEPER_QUEUE_EVENTS=10)
    keeper = Tollkeeper(app, sink=Hanging())
    for _ in range(25):
        assert app.test_client().get("/users/1", buffered=True).status_code == 200
    assert keeper.stats().dropped == {"queue_events": 15}
    gate.set()
    assert keeper.close(10)
    assert keeper.stats().sent == 10


def test_setting_up_twice_counts_once(watch: Watch, caplog: pytest.LogCaptureFixture) -> None:
    watched = watch()
    watched.keeper.init_app(watched.app)
    second = Tollkeeper(watched.app, sink="memory:")
    watched.open("/users/1")
    assert second.flush(5)
    assert len(watched.events()) == second.stats().sent == 1
    assert "already" in caplog.text


def test_one_keeper_for_two_apps_and_a_mounted_app(watch: Watch) -> None:
    watched = watch()
    other = Flask("other")
    watched.keeper.init_app(other)
    other.add_url_rule("/<name>", view_func=lambda name: name)
    watched.app.wsgi_app = DispatcherMiddleware(watched.app.wsgi_app, {"/v2": other})  # type: ignore[method-assign]  # Flask's own way
    watched.open("/users/1")
    watched.open("/v2/x")
    assert [(e.source, e.path, e.route) for e in watched.events()] == [
        ("shop", "/users/1", "/users/{user_id}"),
        ("other", "/v2/x", "/v2/{name}"),
    ]


def test_without_a_sink_it_warns_once_and_records_nothing(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("TOLLKEEPER_SINK", raising=False)
    app = make_app()
    with caplog.at_level(logging.WARNING, "tollkeeper"):
        keeper = Tollkeeper(app)
    assert "TOLLKEEPER_SINK" in caplog.text
    response = app.test_client().get("/users/1")
    assert ENVIRON_KEY not in response.request.environ
    assert keeper.flush()
    assert keeper.close()
    assert keeper.stats().captured == 0


@pytest.mark.parametrize("where", ["environment", "config"])
def test_the_sink_comes_from_the_settings(where: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    url = f"sqlite:///{tmp_path}/u.db"
    app = make_app(**({"TOLLKEEPER_SINK": url} if where == "config" else {}))
    if where == "environment":
        monkeypatch.setenv("TOLLKEEPER_SINK", url)
    keeper = Tollkeeper()
    keeper.init_app(app)
    app.test_client().get("/users/1", buffered=True)
    assert keeper.close(10)
    assert keeper.stats().sent == 1
    assert (tmp_path / "u.db").exists()


def test_what_is_wrong_at_set_up_is_said_at_set_up() -> None:
    with pytest.raises(ConfigurationError, match="memory:"):
        Tollkeeper(make_app(), sink="kafka://x")
    with pytest.raises(ConfigurationError, match="metadata"):
        Tollkeeper(make_app(), sink="memory:", capture="all")  # type: ignore[arg-type]  # the mistake in question


@pytest.mark.parametrize(
    ("headers", "trusted"),
    [
        ({"X-Forwarded-For": "1.1.1.1, 2.2.2.2"}, "1.1.1.1"),
        ({"X-Forwarded-For": "1.1.1.1", "X-Real-IP": "3.3.3.3"}, "3.3.3.3"),
        ({}, "127.0.0.1"),
    ],
)
def test_the_address_behind_a_proxy(watch: Watch, headers: dict[str, str], trusted: str) -> None:
    assert watch(trust_proxy=True).event("/users/1", headers=headers)["client"]["remote_address"] == trusted
    assert watch().event("/users/1", headers=headers)["client"]["remote_address"] == "127.0.0.1"


def test_names_to_hide_can_be_added(watch: Watch) -> None:
    event = watch(deny=("id",)).event("/users/1?user-id=7")
    assert event["response"]["body"] == {"id": "[REDACTED]", "password": "[REDACTED]"}
    assert event["request"]["args"] == {"user-id": "[REDACTED]"}


@pytest.mark.parametrize(
    ("rule", "route"),
    [
        ("/<a>/<int:b>/<path:c>", "/{a}/{b}/{c}"),
        ('/<any(x, "y:z"):kind>/<string(length=2):lang>', "/{kind}/{lang}"),
        ("/<uuid:id>.json", "/{id}.json"),
        ("/plain", "/plain"),
    ],
)
def test_route_templates(watch: Watch, rule: str, route: str) -> None:
    app = Flask("shop")
    app.add_url_rule(rule, view_func=lambda **_: "")
    path = {"/plain": "/plain"}.get(rule) or {
        "/<a>/<int:b>/<path:c>": "/q/7/x/y",
        "/<uuid:id>.json": "/6f1c2c3e-9d0e-4d0b-8f43-0d6f1d8f0a11.json",
    }.get(rule, "/x/en")
    assert watch(app).event(path)["route"] == route


def test_plain_wsgi_inside_works_as_before(watch: Watch) -> None:
    written: list[bytes] = []

    def inner(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        write = start_response("201 Created", [("Content-Type", "text/plain")], None)
        write(b"first ")
        assert environ["PATH_INFO"] == "/x"
        return [b"second"]

    app = Flask("plain")
    app.wsgi_app = inner  # type: ignore[method-assign]  # an app below a middleware is any callable
    watched = watch(app)

    def start_response(_: str, __: object) -> Callable[[bytes], None]:
        return written.append

    environ = EnvironBuilder("/x").get_environ()
    body = app.wsgi_app(environ, start_response)
    assert len(body) == 1  # sized, because what it wraps is
    assert list(body) == [b"second"]
    assert written == [b"first "]
    (event,) = watched.events()
    assert (event.status_code, event.route, event.response.content_length) == (201, "(unmatched)", 12)


def test_a_file_that_the_server_sends_by_itself_stays_what_it_is(watch: Watch) -> None:
    class FileWrapper:
        def __init__(self, file: Any, size: int = 8192) -> None:
            self.file, self.size, self.close = file, size, file.close

        def __iter__(self) -> Iterator[bytes]:
            return iter(lambda: self.file.read(self.size), b"")

    watched = watch()
    environ = EnvironBuilder("/file").get_environ() | {"wsgi.file_wrapper": FileWrapper}
    result: Any = watched.app.wsgi_app(environ, lambda *_: lambda _: None)
    assert isinstance(result, FileWrapper)
    assert watched.keeper.stats().captured == 0
    result.close()
    assert result.file.closed
    (event,) = watched.events()
    assert event.response.content_length == len(FILE)
