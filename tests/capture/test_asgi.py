from __future__ import annotations

import asyncio
import contextlib
import contextvars
import gc
import http
import weakref
from typing import TYPE_CHECKING, Any

import pytest

from support.asgi import Call, Kept, answer, http_scope, text
from tollkeeper import current, set_consumer, track
from tollkeeper.asgi import Tollkeeper
from tollkeeper.capture.current import exchange_in_hand
from tollkeeper.capture.scope import SCOPE_KEY

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Generator, Iterator

    from tollkeeper.capture.asgi_types import ASGIApp, Message, Receive, Scope, Send
    from tollkeeper.capture.request import RequestView

JSON = [(b"content-type", b"application/json")]


@pytest.fixture
def kept() -> Iterator[Kept]:
    kept = Kept()
    yield kept
    kept.close()


def start(status: int = 200, headers: Any = (), **more: Any) -> Message:
    return {"type": "http.response.start", "status": status, "headers": list(headers), **more}


def body(data: bytes = b"", *, more: bool = False) -> Message:
    return {"type": "http.response.body", "body": data, "more_body": more}


def says(*messages: Message, error: BaseException | None = None) -> ASGIApp:
    async def app(_scope: Scope, _receive: Receive, send: Send) -> None:
        for message in messages:
            await send(message)
        if error is not None:
            raise error

    return app


EXTENSIONS: list[Message] = [
    {"type": "http.response.early_hint", "links": [b"</a.css>; rel=preload"]},
    {"type": "http.response.push", "path": "/b.css", "headers": []},
    {"type": "http.response.debug", "info": {"template": "x"}},
]
ANSWERS: dict[str, tuple[Message, ...]] = {
    "one part": (start(200, [(b"content-length", b"2")]), body(b"ab")),
    "a stream": (start(), body(b"a", more=True), body(b"", more=True), body(b"b", more=True), body()),
    "without a body": (start(204), {"type": "http.response.body"}),
    "not modified": (start(304, [(b"etag", b'"1"')]), body()),
    "duplicate headers": (start(200, [(b"set-cookie", b"a=1"), (b"set-cookie", b"b=2")]), body(b"x")),
    "bytes that are no text": (start(200, [(b"x-odd", b"\xff\xfe")]), body(b"\xff\x00\xfe")),
    "a view of bytes": (start(), {"type": "http.response.body", "body": memoryview(b"abc")}),
    "a path to send": (start(200, [(b"content-length", b"9")]), {"type": "http.response.pathsend", "path": "/f"}),
    "a file to send": (
        start(200, [(b"content-length", b"9")]),
        {"type": "http.response.zerocopysend", "file": 3, "count": 4, "more_body": True},
        {"type": "http.response.zerocopysend", "file": 3, "count": 5},
    ),
    "trailers": (
        start(200, trailers=True),
        body(b"x"),
        {"type": "http.response.trailers", "headers": [(b"a", b"1")], "more_trailers": True},
        {"type": "http.response.trailers", "headers": [(b"b", b"2")]},
    ),
    "extensions": (*EXTENSIONS, start(), EXTENSIONS[2], body(b"x")),
    "two starts": (start(200), start(500), body(b"x")),
    "more than all": (start(), body(b"x"), body(b"y")),
    "more than an error": (start(500), body(b"x"), body(b"y")),
    "not finished": (start(), body(b"x", more=True)),
    "nothing": (),
    "nonsense": ({"type": "http.response.what"}, {"no": "type"}, start(), body(b"x")),
}
ERRORS: list[BaseException | None] = [None, ValueError("boom"), asyncio.CancelledError(), KeyboardInterrupt()]


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("error", ERRORS, ids=repr)
@pytest.mark.parametrize("name", ANSWERS)
def test_messages_and_errors_are_the_very_same(kept: Kept, name: str, error: BaseException | None, method: str) -> None:
    passed: list[Message] = []

    async def server(message: Message) -> None:
        passed.append(message)

    async def go() -> Call:
        return await Call(http_scope("/x", method), send=server).run(kept.wrap(app))

    app = says(*ANSWERS[name], error=error)
    call = asyncio.run(go())
    assert all(one is other for one, other in zip(passed, ANSWERS[name], strict=True))
    assert call.error is error
    assert kept.event()["method"] == method


@pytest.mark.parametrize(
    ("name", "status", "size"),
    [
        ("one part", 200, 2),
        ("a stream", 200, 2),
        ("without a body", 204, 0),
        ("a view of bytes", 200, 3),
        ("a path to send", 200, 9),
        ("a file to send", 200, 9),
        ("trailers", 200, 1),
        ("two starts", 200, 1),
        ("more than all", 200, 1),
        ("not finished", 200, 1),
        ("nothing", 500, None),
        ("nonsense", 200, 1),
    ],
)
def test_status_and_size(kept: Kept, name: str, status: int, size: int | None) -> None:
    answer(kept.wrap(says(*ANSWERS[name])))
    event = kept.event()
    assert (event["status_code"], event["response"].get("content_length")) == (status, size)
    assert (event["response"].get("first_byte_time") is not None) == bool(size)


def test_a_head_has_no_bytes(kept: Kept) -> None:
    for name in ("one part", "a path to send"):
        answer(kept.wrap(says(*ANSWERS[name])), method="HEAD")
    for event in kept.events():
        assert event["response"]["content_length"] == 0
        assert "first_byte_time" not in event["response"]


def test_an_error_before_and_after_the_start(kept: Kept) -> None:
    answer(kept.wrap(says(error=ValueError("early"))))
    answer(kept.wrap(says(start(201), body(b"x", more=True), error=ValueError("late"))))
    early, late = kept.events()
    assert (early["status_code"], early["exception"]) == (500, "ValueError('early')")
    assert "content_length" not in early["response"]  # what the server says instead does not pass by
    assert (late["status_code"], late["exception"]) == (201, "ValueError('late')")
    assert "in says.<locals>.app" in late["error"]["traceback"]


def test_an_error_that_is_raised_when_it_has_been_answered_is_noted(kept: Kept) -> None:
    answer(kept.wrap(says(start(503), body(b"sorry"), error=ValueError("boom"))))
    event = kept.event()
    assert (event["status_code"], event["response"]["content_length"]) == (503, 5)
    assert event["exception"] == "ValueError('boom')"


def test_what_comes_after_an_answer_is_not_waited_for(kept: Kept) -> None:
    counts: list[int] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await says(start(int(scope["path"][1:])), body(b"x"))(scope, receive, send)
        await asyncio.sleep(0.2)  # a background task
        counts.append(kept.keeper.stats().captured)

    for status in (200, 500):
        answer(kept.wrap(app), f"/{status}")
    assert counts == [1, 1]  # an error may still be raised after a 500, so that is recorded at the end
    for event in kept.events():
        assert event["request"]["elapsed_time"] < 0.15


def test_time_to_the_first_byte_and_to_the_last(kept: Kept) -> None:
    async def app(_scope: Scope, _receive: Receive, send: Send) -> None:
        await send(start())
        await send(body(b"", more=True))
        await asyncio.sleep(0.05)
        await send(body(b"a", more=True))
        await asyncio.sleep(0.05)
        await send(body(b"b"))

    answer(kept.wrap(app))
    event = kept.event()
    first, last = event["response"]["first_byte_time"], event["request"]["elapsed_time"]
    assert 0.04 < first < last
    assert 0.09 < last < 5


def test_other_scopes_pass_untouched(kept: Kept) -> None:
    got: list[tuple[object, ...]] = []

    async def app(*args: object) -> None:
        got.append(args)

    async def receive() -> Message:
        return {}

    async def send(_message: Message) -> None:
        pass

    for scope in ({"type": "websocket", "path": "/"}, {"type": "webtransport"}, {}):
        asyncio.run(_call(kept.wrap(app), scope, receive, send))
        assert got[-1][0] is scope
        assert got[-1][1:] == (receive, send)
    lifespan = {"type": "lifespan"}
    asyncio.run(_call(kept.wrap(app), lifespan, receive, send))
    assert (got[-1][0], got[-1][1]) == (lifespan, receive)
    assert kept.close().captured == 0


async def _call(app: Any, *args: Any) -> None:
    await app(*args)


def test_what_waits_is_delivered_before_the_server_hears_of_the_shutdown(kept: Kept) -> None:
    kept.keeper.close()
    slow = Kept()
    events_at: list[int] = []

    async def app(_scope: Scope, receive: Receive, send: Send) -> None:
        while (message := await receive())["type"] != "lifespan.shutdown":
            await send({"type": "lifespan.startup.complete", "odd": message})
        await send({"type": "lifespan.shutdown.complete"})

    async def server(_message: Message) -> None:
        events_at.append(len(slow.sink.events))

    async def go() -> None:
        parts = iter([{"type": "lifespan.startup"}, {"type": "lifespan.shutdown"}])

        async def receive() -> Message:
            message = next(parts)
            if message["type"] == "lifespan.shutdown":
                await slow.wrap(says(start(), body()))(http_scope(), receive, Call(http_scope()).send)
            return message

        await slow.wrap(app)({"type": "lifespan"}, receive, server)

    asyncio.run(go())
    assert events_at == [0, 1]
    slow.close()


def test_a_shutdown_outside_of_asyncio_passes(kept: Kept, monkeypatch: pytest.MonkeyPatch) -> None:
    async def no_loop(*_: object) -> None:
        raise RuntimeError("no running event loop")

    monkeypatch.setattr(asyncio, "to_thread", no_loop)
    message = {"type": "lifespan.shutdown.failed", "message": ""}
    passed: list[Message] = []

    async def server(message: Message) -> None:
        passed.append(message)

    asyncio.run(_call(kept.wrap(says(message)), {"type": "lifespan"}, None, server))
    assert passed == [message]
    assert kept.close().errors == {}


class TestRequestBodies:
    @staticmethod
    async def echo(_scope: Scope, receive: Receive, send: Send) -> None:
        read = b""
        more = True
        while more:
            message = await receive()
            read += message.get("body", b"")
            more = message.get("more_body", False)
        await send(start(200, JSON))
        await send(body(read))

    def test_a_body_is_read_as_the_app_reads_it_and_kept(self, kept: Kept) -> None:
        parts = [b'{"a": ', b"", b'[1, 2], "password": "hunter2"}']
        headers = [("content-type", "application/json"), ("transfer-encoding", "chunked")]
        call = answer(kept.wrap(self.echo), "/", "POST", parts, headers=headers)
        assert text(call) == b"".join(parts)
        assert call.received == 3
        event = kept.event()
        assert event["request"]["content_length"] == len(b"".join(parts))
        assert event["request"]["body"] == event["response"]["body"] == {"a": [1, 2], "password": "[REDACTED]"}

    def test_nothing_is_read_ahead(self, kept: Kept) -> None:
        call = answer(kept.wrap(says(start(417), body())), "/", "POST", [b"x"], headers=[("expect", "100-continue")])
        assert call.received == 0
        assert kept.event()["status_code"] == 417

    def test_a_body_that_announces_its_length_has_that(self, kept: Kept) -> None:
        answer(kept.wrap(says(start(), body())), "/", "POST", [b"xyz"], headers=[("content-length", "3")])
        assert kept.event()["request"]["content_length"] == 3

    def test_of_multipart_only_a_summary_is_kept(self, kept: Kept) -> None:
        part = b'--b\r\ncontent-disposition: form-data; name="f"; filename="a.txt"\r\n\r\nhunter2\r\n--b--\r\n'
        headers = [("content-type", "multipart/form-data; boundary=b")]
        answer(kept.wrap(self.echo), "/", "POST", [part[:20], part[20:]], headers=headers)
        (summary,) = kept.event()["request"]["body"]
        assert summary["filename"] == "a.txt"
        assert "hunter2" not in str(kept.event()["request"])

    def test_long_bodies_are_cut_and_counted_whole(self) -> None:
        kept = Kept(max_body_bytes=10)
        headers = [("content-type", "text/plain")]
        answer(kept.wrap(self.echo), "/", "POST", [b"a" * 8, b"b" * 8], headers=headers)
        request = kept.event()["request"]
        assert (request["body"], request["content_length"]) == ("aaaaaaaabb", 16)
        assert request["body_truncated"] is True
        kept.close()

    def test_a_tee_that_fails_leaves_the_body_alone(self, kept: Kept) -> None:
        class Odd(bytes):
            def __len__(self) -> int:
                raise OverflowError

            def __bool__(self) -> bool:
                return True

        app = kept.wrap(self.echo)
        answer(app, "/", "POST", [Odd(b"abc")], headers=[("content-type", "application/json")])
        assert kept.event()["response"]["content_length"] == 3
        assert kept.close().errors == {"observe": 1}


class TestClientsThatGo:
    @pytest.mark.parametrize("error", [OSError("gone"), BrokenPipeError()], ids=repr)
    def test_in_the_middle_of_an_answer(self, kept: Kept, error: OSError) -> None:
        async def server(message: Message) -> None:
            if message.get("body") == b"b":
                raise error

        async def go() -> Call:
            app = kept.wrap(says(start(), body(b"a", more=True), body(b"b", more=True), body(b"c")))
            return await Call(http_scope(), send=server).run(app)

        call = asyncio.run(go())
        assert call.error is error
        event = kept.event()
        assert (event["status_code"], event["response"]["content_length"]) == (200, 1)
        assert "exception" not in event

    def test_a_refusal_of_the_server_is_an_error_of_the_app(self, kept: Kept) -> None:
        async def server(_message: Message) -> None:
            raise RuntimeError("Response content longer than Content-Length")

        async def go() -> Call:
            return await Call(http_scope(), send=server).run(kept.wrap(says(start(), body(b"a"))))

        assert isinstance(asyncio.run(go()).error, RuntimeError)
        assert kept.event()["error"]["type"] == "RuntimeError"

    def test_before_there_was_an_answer(self, kept: Kept) -> None:
        async def patient(_scope: Scope, receive: Receive, send: Send) -> None:
            while (await receive())["type"] != "http.disconnect":
                pass
            await send(start(500))

        async def go(app: ASGIApp) -> None:
            call = Call(http_scope())
            call._answered.set()
            await call.run(app)

        asyncio.run(go(kept.wrap(patient)))
        assert kept.event()["status_code"] == 499

    def test_and_a_task_is_cancelled_for_it(self, kept: Kept) -> None:
        async def slow(_scope: Scope, _receive: Receive, send: Send) -> None:
            await send(start())
            await send(body(b"a", more=True))
            await asyncio.sleep(60)

        async def go() -> None:
            call = Call(http_scope())
            task = asyncio.create_task(_call(kept.wrap(slow), call.scope, call.receive, call.send))
            await asyncio.sleep(0.05)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task

        asyncio.run(go())
        event = kept.event()
        assert (event["status_code"], event["error"]["type"]) == (200, "asyncio.exceptions.CancelledError")


class TestTheHostsFunctions:
    def test_they_are_asked_before_the_answer_starts_and_may_be_coroutine_functions(self) -> None:
        order: list[str] = []

        async def identify(request: RequestView) -> dict[str, str]:
            await asyncio.sleep(0)
            order.append("asked")
            return {"key": request.headers["x-user"], "group": request.native["state"]["tier"]}

        def api(request: RequestView) -> str:
            return f"{request.method} {request.path} {request.query}"

        async def server(message: Message) -> None:
            order.append(message["type"])

        async def go(kept: Kept) -> None:
            scope = http_scope("/p?q=1", headers=[("x-user", "ann")], state={"tier": "gold"})
            await Call(scope, send=server).run(kept.wrap(says(start(), body())))

        kept = Kept(identify=identify, api=api)
        asyncio.run(go(kept))
        assert order == ["asked", "http.response.start", "http.response.body"]
        event = kept.event()
        assert event["consumer"] == {"key": "ann", "group": "gold"}
        assert event["api"] == "GET /p q=1"
        kept.close()

    def test_they_are_asked_when_the_app_raises(self) -> None:
        kept = Kept(identify=lambda _: "ann", route=lambda _: "/x")
        answer(kept.wrap(says(error=ValueError())))
        event = kept.event()
        assert (event["consumer"]["key"], event["route"]) == ("ann", "/x")
        kept.close()

    def test_what_they_raise_stays_here(self) -> None:
        def identify(_request: RequestView) -> str:
            raise RecursionError

        def route(_scope: Scope) -> str:
            raise ZeroDivisionError

        kept = Kept(identify=identify, route=route)
        call = answer(kept.wrap(says(start(), body(b"x"))))
        assert (call.error, text(call)) == (None, b"x")
        assert kept.event()["route"] == "(unmatched)"
        assert kept.close().errors == {"identify": 1, "route": 1}

    def test_what_they_exclude_is_counted(self) -> None:
        async def exclude(request: RequestView) -> bool:
            return request.path == "/health"

        kept = Kept(exclude=[exclude])
        for path in ("/health", "/x"):
            answer(kept.wrap(says(start(), body())), path)
        assert kept.event()["path"] == "/x"
        assert kept.close().excluded == 1

    @pytest.mark.parametrize(
        ("root", "path", "shown"),
        [("", "/u/1", "/u/{id}"), ("/v1", "/v1/u/1", "/v1/u/{id}"), ("/v1", "/u/1", "/u/{id}")],
    )
    def test_a_route_is_told_below_the_root_path(self, root: str, path: str, shown: str) -> None:
        kept = Kept(route=lambda scope: "/u/{id}" if scope["path"].endswith("/1") else None)
        answer(kept.wrap(says(start(), body())), path, root_path=root)
        answer(kept.wrap(says(start(), body())), "/other")
        assert [event["route"] for event in kept.events()] == [shown, "(unmatched)"]
        kept.close()


class TestTheRequestInHand:
    def test_it_is_there_in_tasks_and_threads_and_never_another(self, kept: Kept) -> None:
        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            name = scope["path"][1:]
            track(view=name)
            await asyncio.sleep(0.01)
            await asyncio.to_thread(track, thread=name)
            await asyncio.create_task(_call(inside, name))
            set_consumer(name)
            await says(start(), body(name.encode()))(scope, receive, send)

        async def inside(name: str) -> None:
            await asyncio.sleep(0.01)
            track(task=name)

        async def go() -> None:
            app_ = kept.wrap(app)
            await asyncio.gather(*(Call(http_scope(f"/{number}")).run(app_) for number in range(50)))

        asyncio.run(go())
        events = kept.events()
        assert sorted(event["path"] for event in events) == sorted(f"/{number}" for number in range(50))
        for event in events:
            name = event["path"][1:]
            assert event["variables"] == {"view": name, "thread": name, "task": name}
            assert event["consumer"]["key"] == name

    def test_scope_and_context_are_left_as_they_were(self, kept: Kept) -> None:
        seen: list[object] = []

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            seen.append(scope[SCOPE_KEY])
            scope["by the app"] = 1
            await says(start(), body(b"x"))(scope, receive, send)
            seen.append(current())

        async def go() -> None:
            scope = http_scope()
            before = dict(scope)
            await Call(scope).run(kept.wrap(app))
            assert scope == before | {"by the app": 1}
            assert exchange_in_hand.get() is None

        asyncio.run(go())
        assert seen[0] is not None
        assert seen[1] is None

    def test_an_app_in_an_app_tells_both(self, kept: Kept) -> None:
        inner = Kept(source="inner")

        async def view(scope: Scope, receive: Receive, send: Send) -> None:
            track(who="both")
            await says(start(), body(b"x"))(scope, receive, send)

        async def outside(scope: Scope, receive: Receive, send: Send) -> None:
            await inner.wrap(view)(scope, receive, send)
            assert scope[SCOPE_KEY].source == "asgi"

        call = answer(kept.wrap(outside))
        assert call.error is None
        for each in (kept, inner):
            assert each.event()["variables"] == {"who": "both"}
        inner.close()

    def test_one_keeper_counts_a_request_once(self, kept: Kept) -> None:
        answer(kept.wrap(kept.wrap(says(start(), body(b"x")))))
        assert kept.event()["response"]["content_length"] == 1

    def test_nothing_of_the_app_is_kept_alive(self, kept: Kept) -> None:
        class Server:
            async def send(self, message: Message) -> None:
                pass

        async def go() -> weakref.ref[Server]:
            server = Server()
            call = Call(http_scope())
            await kept.wrap(says(start(), body()))(call.scope, call.receive, server.send)
            return weakref.ref(server)

        gone = asyncio.run(go())
        gc.collect()
        assert gone() is None


class TestTroubleOfOurs:
    @pytest.mark.parametrize("missing", ["method", "path", "headers"])
    def test_an_odd_scope_costs_the_event_and_nothing_else(self, kept: Kept, missing: str) -> None:
        async def go() -> Call:
            scope = http_scope()
            del scope[missing]
            return await Call(scope).run(kept.wrap(says(start(), body(b"x"))))

        assert text(asyncio.run(go())) == b"x"
        assert kept.close().dropped == {"error": 1}

    @pytest.mark.parametrize("name", ["_starts", "_sent", "_keep_request"])
    def test_a_step_that_fails_is_counted(self, kept: Kept, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
        def fail(*_: object) -> None:
            raise MemoryError

        monkeypatch.setattr(f"tollkeeper.capture.asgi_watch.Watch.{name}", fail)
        assert text(answer(kept.wrap(says(start(), body(b"x"))))) == b"x"
        stats = kept.close()
        assert stats.captured == 1
        assert stats.errors["observe"] >= 1

    def test_a_recorder_that_fails_is_counted(self, kept: Kept, monkeypatch: pytest.MonkeyPatch) -> None:
        app = kept.wrap(says(start(), body(b"x")))
        recorder = kept.keeper._recorder
        assert recorder is not None

        def fail(_: object) -> None:
            raise MemoryError

        monkeypatch.setattr(recorder, "finish", fail)
        assert text(answer(app)) == b"x"
        assert kept.close().dropped == {"error": 1}

    def test_an_answering_that_fails_when_the_app_raises_is_counted(self, kept: Kept) -> None:
        kept.keeper._answering = _fails  # type: ignore[assignment, method-assign]  # the fault
        call = answer(kept.wrap(says(error=ValueError("x"))))
        assert isinstance(call.error, ValueError)
        assert kept.event()["exception"] == "ValueError('x')"
        assert kept.close().errors == {"observe": 1}

    def test_a_scope_that_cannot_be_left_is_counted(self, kept: Kept) -> None:
        class Frozen(dict[str, Any]):
            def pop(self, *_: object) -> None:
                raise TypeError

        async def go() -> Call:
            return await Call(Frozen(http_scope())).run(kept.wrap(says(start(), body(b"x"))))

        assert text(asyncio.run(go())) == b"x"
        assert kept.close().errors == {"observe": 1}

    def test_headers_that_can_be_read_once_are_left_to_the_server(self, kept: Kept) -> None:
        got: list[Any] = []

        async def server(message: Message) -> None:
            if message["type"] == "http.response.start":
                got.extend(message["headers"])

        async def go() -> None:
            message = {"type": "http.response.start", "status": http.HTTPStatus.OK, "headers": iter(JSON)}
            await Call(http_scope(), send=server).run(kept.wrap(says(message, body(b"{}"))))

        asyncio.run(go())
        assert got == JSON
        assert kept.event()["status_code"] == 200

    def test_a_call_that_is_given_up_is_recorded(self, kept: Kept) -> None:
        async def stuck(_scope: Scope, _receive: Receive, send: Send) -> None:
            await send(start())
            await _Never()

        call = Call(http_scope())
        coroutine: Any = kept.wrap(stuck)(call.scope, call.receive, call.send)
        contextvars.copy_context().run(coroutine.send, None)
        coroutine.close()
        assert kept.event()["status_code"] == 200


def _fails(*_: object) -> None:
    raise MemoryError


class _Never:
    def __await__(self) -> Generator[None]:
        yield


def test_headers_only_of_a_sample() -> None:
    kept = Kept(sample=0)
    headers = [("authorization", "Bearer abc"), ("cookie", "sid=hunter2")]
    answer(kept.wrap(says(start(200, JSON), body(b"{}"))), headers=headers)
    event = kept.event()
    assert event["consumer"]["key"].startswith("key_")
    assert "headers" not in event["request"]
    assert "body" not in event["response"]
    kept.close()


def test_at_the_level_of_headers_no_body_is_kept() -> None:
    kept = Kept(capture="headers")
    answer(kept.wrap(says(start(200, JSON), body(b"{}"))), headers=[("x-a", "1"), ("x-a", "2")])
    event = kept.event()
    assert event["response"]["headers"] == {"content-type": "application/json"}
    assert "X-A" in event["request"]["headers"]
    assert "body" not in event["response"]
    kept.close()


def test_streams_are_not_buffered(kept: Kept) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        for number in range(3):
            yield b"%d" % number

    events: list[str] = []

    async def app(_scope: Scope, _receive: Receive, send: Send) -> None:
        await send(start())
        async for chunk in chunks():
            events.append("made")
            await send(body(chunk, more=True))
        await send(body())

    async def server(message: Message) -> None:
        if message.get("body"):
            events.append("sent")

    async def go() -> None:
        await Call(http_scope(), send=server).run(kept.wrap(app))

    asyncio.run(go())
    assert events == ["made", "sent"] * 3


def test_a_keeper_without_an_app_says_what_to_do(kept: Kept) -> None:
    with pytest.raises(TypeError, match=r"keeper\.middleware"):
        asyncio.run(_call(kept.keeper, http_scope(), None, None))


def test_without_a_sink_the_app_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TOLLKEEPER_SINK", raising=False)
    app = says(start(), body(b"x"))
    keeper = Tollkeeper(app)
    assert keeper.app is app
    assert text(answer(keeper)) == b"x"


def test_an_app_that_cannot_be_looked_into_is_wrapped_all_the_same(kept: Kept) -> None:
    class Opaque:
        def __getattr__(self, name: str) -> object:
            raise ZeroDivisionError(name)

        async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
            await says(start(), body(b"x"))(scope, receive, send)

    call = answer(kept.wrap(Opaque()))
    assert text(call) == b"x"
    assert kept.event()["source"] == "asgi"
    assert kept.close().errors == {"observe": 2}


@pytest.mark.parametrize("wrap", [lambda app: Tollkeeper(app, sink="memory:"), None], ids=["door", "middleware"])
def test_servers_see_an_asgi_application(kept: Kept, wrap: Callable[[ASGIApp], Any] | None) -> None:
    app: Any = (wrap or kept.wrap)(says())
    assert asyncio.iscoroutinefunction(app.__call__)  # what uvicorn and hypercorn look at
    if isinstance(app, Tollkeeper):
        with contextlib.closing(app):
            pass
