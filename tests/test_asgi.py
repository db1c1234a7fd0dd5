from __future__ import annotations

import asyncio
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import litestar
import pytest
import quart
from fastapi import APIRouter, BackgroundTasks, Depends, FastAPI, Request, WebSocket
from litestar.exceptions import HTTPException
from litestar.openapi import OpenAPIConfig
from litestar.response import Stream
from litestar.static_files import create_static_files_router
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.responses import FileResponse, JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Host, Mount, Route, Router
from starlette.staticfiles import StaticFiles

from support.asgi import Call, Kept, answer, http_scope, text
from support.served import environment
from tollkeeper import current, set_consumer, set_units, track
from tollkeeper.asgi import Tollkeeper
from tollkeeper.errors import ConfigurationError
from tollkeeper.sinks.memory import MemorySink

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator

    from starlette.middleware.base import RequestResponseEndpoint

    from tollkeeper.capture.asgi_types import ASGIApp, Message

HERE = Path(__file__).parent


@pytest.fixture
def kept() -> Iterator[Kept]:
    kept = Kept()
    yield kept
    kept.close()


async def plain(request: Any) -> PlainTextResponse:
    return PlainTextResponse(request.url.path)


async def stream() -> AsyncGenerator[bytes, None]:
    for number in range(3):
        yield b"%d" % number


async def broken() -> AsyncGenerator[bytes, None]:
    yield b"a"
    raise RuntimeError("mid-stream")


def make_fastapi() -> FastAPI:
    app = FastAPI(title="Shop")

    @app.get("/users/{user_id}")
    async def user(user_id: int) -> dict[str, int]:
        return {"id": user_id}

    @app.get("/sync/{name:path}")
    def in_a_thread(name: str) -> str:
        return name

    @app.get("/slash/")
    async def slash() -> str:
        return "slash"

    @app.post("/echo")
    async def echo(request: Request) -> Response:
        return Response(await request.body(), media_type="application/json")

    @app.get("/boom")
    async def boom() -> None:
        raise ValueError("boom")

    app.add_api_route("/stream", lambda: StreamingResponse(stream()))
    app.add_api_route("/broken", lambda: StreamingResponse(broken()))
    app.add_api_route("/empty", lambda: Response(status_code=204))
    app.add_api_route("/file", lambda: FileResponse(__file__))
    app.add_route("/plain/{name}", plain)

    orders = APIRouter(prefix="/orders")
    orders.add_api_route("/{order_id:int}/lines", lambda order_id: [order_id])
    deep = APIRouter(prefix="/deep")
    deep.add_api_route("/{name}", lambda name: name, methods=["GET", "PUT"])
    orders.include_router(deep)
    app.include_router(orders, prefix="/v1")

    part = FastAPI()
    part.add_api_route("/items/{item}", lambda item: item)
    part.include_router(orders)
    app.mount("/part", part)
    app.mount("/tenants/{tenant}", part)
    app.mount("/static", StaticFiles(directory=HERE))
    app.mount("/starlette", make_starlette())
    return app


def make_starlette() -> Starlette:
    return Starlette(
        routes=[
            Route("/users/{user_id:int}", plain),
            Route("/users/{user_id:int}", plain, methods=["PUT"]),
            Route("/slash/", plain),
            Mount("/teams/{team}", routes=[Route("/members/{member}", plain)]),
            Mount("/wrapped", app=GZipMiddleware(Router([Route("/x/{y}", plain)]))),
            Mount("/static", StaticFiles(directory=HERE)),
            Host("{shop}.shop.example", Router([Route("/hosted/{name}", plain)])),
        ]
    )


@litestar.get("/users/{user_id:int}")
async def litestar_user(request: litestar.Request[Any, Any, Any]) -> dict[str, Any]:
    return request.path_params


@litestar.get("/boom")
async def litestar_boom() -> None:
    raise ValueError("boom")


@litestar.get("/teapot")
async def litestar_teapot() -> None:
    raise HTTPException("short and stout", status_code=418)


@litestar.get("/handled")
async def litestar_handled() -> None:
    raise KeyError("handled")


@litestar.get("/broken")
async def litestar_broken() -> Stream:
    return Stream(broken())


@litestar.get("/stream")
async def litestar_stream() -> Stream:
    return Stream(stream())


@litestar.asgi("/raw", is_mount=True, copy_scope=False)
async def litestar_raw(scope: litestar.types.Scope, receive: litestar.types.Receive, send: litestar.types.Send) -> None:
    await PlainTextResponse(scope["path"])(scope, receive, send)  # type: ignore[arg-type]  # each has its own names


def make_litestar(**options: Any) -> litestar.Litestar:
    return litestar.Litestar(
        [
            litestar_user,
            litestar_boom,
            litestar_teapot,
            litestar_handled,
            litestar_broken,
            litestar_stream,
            litestar_raw,
            litestar.Router("/v1", route_handlers=[litestar_user]),
            create_static_files_router(path="/static", directories=[HERE]),
        ],
        openapi_config=OpenAPIConfig(title="Lite", version="1"),
        exception_handlers={KeyError: lambda _request, _error: litestar.Response("handled", status_code=409)},
        logging_config=None,
        **options,
    )


def make_quart() -> quart.Quart:
    app = quart.Quart("shop")
    app.logger.disabled = True

    @app.get("/users/<int:user_id>")
    async def user(user_id: int) -> dict[str, int]:
        return {"id": user_id}

    @app.get("/sync/<path:name>")
    def in_a_thread(name: str) -> str:
        track(thread=name)
        return name

    @app.get("/slash/")
    async def slash() -> str:
        return "slash"

    @app.get("/boom")
    async def boom() -> str:
        raise ValueError("boom")

    @app.get("/teapot")
    async def teapot() -> str:
        quart.abort(418)

    app.add_url_rule("/stream", view_func=stream)
    app.add_url_rule("/broken", view_func=broken)
    return app


CASES: dict[str, tuple[Callable[[], Any], list[tuple[str, str, int, str]]]] = {
    "fastapi": (
        make_fastapi,
        [
            ("GET", "/users/7", 200, "/users/{user_id}"),
            ("GET", "/users/x", 422, "/users/{user_id}"),
            ("DELETE", "/users/7", 405, "/users/{user_id}"),
            ("HEAD", "/users/7", 405, "/users/{user_id}"),
            ("GET", "/nothing", 404, "(unmatched)"),
            ("GET", "/sync/a/b", 200, "/sync/{name}"),
            ("GET", "/slash/", 200, "/slash/"),
            ("GET", "/slash", 307, "/slash/"),
            ("POST", "/echo", 200, "/echo"),
            ("GET", "/boom", 500, "/boom"),
            ("GET", "/stream", 200, "/stream"),
            ("GET", "/broken", 200, "/broken"),
            ("GET", "/empty", 204, "/empty"),
            ("GET", "/file", 200, "/file"),
            ("GET", "/plain/x", 200, "/plain/{name}"),
            ("HEAD", "/plain/x", 200, "/plain/{name}"),
            ("GET", "/docs", 200, "/docs"),
            ("GET", "/v1/orders/7/lines", 200, "/v1/orders/{order_id}/lines"),
            ("PUT", "/v1/orders/deep/x", 200, "/v1/orders/deep/{name}"),
            ("POST", "/v1/orders/deep/x", 405, "/v1/orders/deep/{name}"),
            ("GET", "/part/items/x", 200, "/part/items/{item}"),
            ("GET", "/part/orders/deep/x", 200, "/part/orders/deep/{name}"),
            ("GET", "/part/docs", 200, "/part/docs"),
            ("GET", "/part/items/x/", 307, "/part/items/{item}"),
            ("GET", "/part/nothing", 404, "(unmatched)"),
            ("GET", "/tenants/acme/items/x", 200, "/tenants/{tenant}/items/{item}"),
            ("GET", "/tenants/acme/orders/deep/x", 200, "/tenants/{tenant}/orders/deep/{name}"),
            ("GET", "/tenants/acme/nothing", 404, "(unmatched)"),
            ("GET", "/static/conftest.txt", 404, "/static/{path}"),
            ("GET", "/static/test_asgi.py", 200, "/static/{path}"),
            ("GET", "/starlette/users/7", 200, "/starlette/users/{user_id}"),
            ("GET", "/starlette/teams/a/members/b", 200, "/starlette/teams/{team}/members/{member}"),
            ("GET", "/starlette/static/test_asgi.py", 200, "/starlette/static/{path}"),
        ],
    ),
    "starlette": (
        make_starlette,
        [
            ("GET", "/users/7", 200, "/users/{user_id}"),
            ("PUT", "/users/7", 200, "/users/{user_id}"),
            ("DELETE", "/users/7", 405, "/users/{user_id}"),
            ("GET", "/users/x", 404, "(unmatched)"),
            ("GET", "/slash", 307, "/slash/"),
            ("GET", "/teams/a/members/b", 200, "/teams/{team}/members/{member}"),
            ("GET", "/teams/a/nothing", 404, "(unmatched)"),
            ("GET", "/wrapped/x/1", 200, "/wrapped/x/{y}"),
            ("GET", "/wrapped/nothing", 404, "(unmatched)"),
            ("GET", "/static/test_asgi.py", 200, "/static/{path}"),
        ],
    ),
    "litestar": (
        make_litestar,
        [
            ("GET", "/users/7", 200, "/users/{user_id}"),
            ("GET", "/users/7/", 200, "/users/{user_id}"),
            ("DELETE", "/users/7", 405, "/users/{user_id}"),
            ("OPTIONS", "/users/7", 204, "/users/{user_id}"),
            ("GET", "/users/x", 404, "(unmatched)"),
            ("GET", "/nothing", 404, "(unmatched)"),
            ("GET", "/v1/users/7", 200, "/v1/users/{user_id}"),
            ("GET", "/boom", 500, "/boom"),
            ("GET", "/teapot", 418, "/teapot"),
            ("GET", "/handled", 409, "/handled"),
            ("GET", "/stream", 200, "/stream"),
            ("GET", "/broken", 200, "/broken"),
            ("GET", "/raw", 200, "/raw/{path}"),
            ("GET", "/raw/a/b", 200, "/raw/{path}"),
            ("GET", "/static/test_asgi.py", 200, "/static/{file_path}"),
        ],
    ),
    "quart": (
        make_quart,
        [
            ("GET", "/users/7", 200, "/users/{user_id}"),
            ("HEAD", "/users/7", 200, "/users/{user_id}"),
            ("OPTIONS", "/users/7", 200, "/users/{user_id}"),
            ("DELETE", "/users/7", 405, "/users/{user_id}"),
            ("GET", "/users/x", 404, "(unmatched)"),
            ("GET", "/slash", 308, "/slash/"),
            ("POST", "/slash", 404, "(unmatched)"),
            ("GET", "/sync/a/b", 200, "/sync/{name}"),
            ("GET", "/boom", 500, "/boom"),
            ("GET", "/teapot", 418, "/teapot"),
            ("GET", "/stream", 200, "/stream"),
            ("GET", "/broken", 200, "/broken"),
        ],
    ),
}
EACH = [(name, case) for name, (_, cases) in CASES.items() for case in cases]
UNHANDLED = {
    "/boom": {"ValueError"},
    # As Starlette has it today, as it had it, as Litestar has it.
    "/broken": {"RuntimeError", "ExceptionGroup", "litestar.exceptions.base_exceptions.LitestarException"},
}


def shown(call: Call) -> tuple[object, ...]:
    messages = [dict(message) for message in call.sent]
    for message in messages:
        message["headers"] = sorted(message.get("headers", ()))  # Starlette's Allow comes from a set
        message["headers"] = [(name, b"".join(sorted(value.split(b", ")))) for name, value in message["headers"]]
    return messages, repr(call.error)


@pytest.mark.parametrize(("framework", "case"), EACH, ids=str)
def test_the_answer_is_the_same_and_the_event_is_right(
    kept: Kept, framework: str, case: tuple[str, str, int, str]
) -> None:
    method, path, status, route = case
    body = [b'{"a":', b"1}"] if method == "POST" else []
    make = CASES[framework][0]
    bare, watched = (answer(app, path, method, body) for app in (make(), kept.wrap(make())))
    assert shown(watched) == shown(bare)
    event = kept.event()
    assert (event["status_code"], event["route"]) == (status, route)
    assert event["response"]["content_length"] == (0 if method == "HEAD" else len(text(bare)))
    if path in UNHANDLED:
        assert event["error"]["type"] in UNHANDLED[path]
    else:
        assert "error" not in event
    assert kept.close().errors == {}


@pytest.mark.parametrize("framework", CASES)
def test_behind_a_root_path(kept: Kept, framework: str) -> None:
    app = kept.wrap(CASES[framework][0]())
    for path in ("/api/users/7", "/api/nothing"):
        answer(app, path, root_path="/api")
    assert [event["route"] for event in kept.events()] == ["/api/users/{user_id}", "(unmatched)"]


@pytest.mark.parametrize(
    ("make", "name"),
    [(make_fastapi, "Shop"), (make_starlette, "asgi"), (make_litestar, "Lite"), (make_quart, "shop")],
)
def test_the_source_is_what_the_app_calls_itself(make: Callable[[], Any], name: str) -> None:
    for source in (None, "given"):
        kept = Kept(source=source)
        answer(kept.wrap(make()), "/users/7")
        assert kept.event()["source"] == (source or name)
        kept.close()


@pytest.mark.parametrize("framework", CASES)
def test_with_httpx(kept: Kept, framework: str) -> None:
    async def get(app: ASGIApp) -> tuple[int, list[tuple[str, str]], bytes]:
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://shop.example") as client:
            response = await client.get("/users/7?a=1", headers={"X-API-Key": "k"})
            return response.status_code, response.headers.multi_items(), response.content

    make = CASES[framework][0]
    assert asyncio.run(get(kept.wrap(make()))) == asyncio.run(get(make()))
    event = kept.event()
    assert event["url"] == "http://shop.example/users/7?a=1"
    assert event["consumer"]["key"].startswith("key_")


class TestInAStack:
    """Starlette and FastAPI, with the door among their middleware."""

    @staticmethod
    def calls(app: Any, *paths: str) -> list[Call]:
        async def go() -> list[Call]:
            async with running(app):
                return [await Call(http_scope(path)).run(app) for path in paths]

        return asyncio.run(go())

    def test_the_class_is_a_middleware(self) -> None:
        sink = MemorySink()
        app = make_fastapi()
        app.add_middleware(Tollkeeper, sink=sink, capture="metadata", route=None)
        with_us = self.calls(app, "/users/7")[0]
        bare = self.calls(make_fastapi(), "/users/7")[0]
        assert shown(with_us) == shown(bare)
        assert [(event.route, event.source) for event in sink.events] == [("/users/{user_id}", "Shop")]

    def test_the_answers_of_error_handlers_are_seen(self, kept: Kept) -> None:
        async def sorry(_request: Any, _error: Exception) -> JSONResponse:
            return JSONResponse({"sorry": True}, status_code=503)

        app = make_fastapi()
        app.add_exception_handler(Exception, sorry)
        app.add_middleware(kept.keeper.middleware)
        (call,) = self.calls(app, "/boom")
        assert (call.sent[0]["status"], repr(call.error)) == (503, "ValueError('boom')")
        event = kept.event()
        assert (event["status_code"], event["response"]["body"]) == (503, {"sorry": True})
        assert event["exception"] == "ValueError('boom')"

    def test_without_a_lifespan_only_the_first_call_is_seen_from_inside(self, kept: Kept) -> None:
        app = make_fastapi()
        app.add_middleware(kept.keeper.middleware)
        assert [answer(app, "/boom").sent[0]["status"] for _ in range(3)] == [500] * 3
        events = kept.events()
        assert [event["status_code"] for event in events] == [500] * 3
        assert [event["exception"] for event in events] == ["ValueError('boom')"] * 3
        assert [event["response"].get("content_length") for event in events] == [None, 21, 21]

    def test_what_was_compressed_is_seen_as_it_goes_out(self, kept: Kept) -> None:
        app = make_starlette()
        app.add_middleware(kept.keeper.middleware)
        app.add_middleware(GZipMiddleware, minimum_size=1)

        async def go() -> Call:
            async with running(app):
                return await Call(http_scope("/users/7", headers=[("accept-encoding", "gzip")])).run(app)

        call = asyncio.run(go())
        event = kept.event()
        assert event["response"]["content_length"] == len(text(call)) > len("/users/7")
        assert event["response"]["body"] == "/users/7"

    def test_in_a_mount_the_rest_of_the_app_is_not_watched(self, kept: Kept) -> None:
        app = Starlette(routes=[Route("/free", plain), Mount("/paid/{plan}", app=kept.wrap(make_starlette()))])
        self.calls(app, "/paid/gold/users/7", "/free", "/paid/gold/users/7")
        assert [event["route"] for event in kept.events()] == ["/paid/{plan}/users/{user_id}"] * 2

    def test_the_request_in_hand_is_known_everywhere(self, kept: Kept) -> None:
        class Around(BaseHTTPMiddleware):
            async def dispatch(self, request: Request, call_next: RequestResponseEndpoint) -> Response:
                track(around=request.url.path)
                return await call_next(request)

        def who() -> None:
            set_consumer("ann", group="gold")

        def afterwards() -> None:
            assert current() is None
            time.sleep(0.1)

        app = FastAPI(middleware=[Middleware(Around)], dependencies=[Depends(who)])

        @app.get("/async/{name}")
        async def in_a_task(name: str, later: BackgroundTasks) -> StreamingResponse:
            track(view=name)
            later.add_task(afterwards)
            return StreamingResponse(noted(name), background=later)

        @app.get("/sync/{name}")
        def in_a_thread(name: str) -> str:
            track(view=name)
            set_units("2.5")
            return name

        async def noted(name: str) -> AsyncIterator[str]:
            track(late=name)
            yield name

        app.add_middleware(kept.keeper.middleware)

        async def go() -> None:
            async with running(app):
                paths = [f"/{how}/{number}" for number in range(10) for how in ("async", "sync")]
                await asyncio.gather(*(Call(http_scope(path)).run(app) for path in paths))

        asyncio.run(go())
        events = kept.events()
        assert len(events) == 20
        for event in events:
            _, how, name = event["path"].split("/")
            assert event["consumer"] == {"key": "ann", "group": "gold"}
            assert event["variables"] == {"around": event["path"], "view": name} | (
                {"late": name} if how == "async" else {}
            )
            assert event["request"]["elapsed_time"] < 10

    def test_a_background_task_takes_no_time_of_the_request(self, kept: Kept) -> None:
        app = FastAPI()

        @app.get("/")
        async def view(later: BackgroundTasks) -> str:
            later.add_task(asyncio.sleep, 0.3)
            return "x"

        app.add_middleware(kept.keeper.middleware)
        self.calls(app, "/")
        assert kept.event()["request"]["elapsed_time"] < 0.25

    def test_a_server_that_sends_files_by_itself_is_handed_them(self, kept: Kept) -> None:
        extensions: dict[str, Any] = {"http.response.pathsend": {}}
        bare, watched = (
            answer(app, "/file", extensions=extensions) for app in (make_fastapi(), kept.wrap(make_fastapi()))
        )
        assert shown(watched) == shown(bare)
        assert kept.event()["response"]["content_length"] == Path(__file__).stat().st_size

    def test_websockets_pass(self, kept: Kept) -> None:
        app = FastAPI()

        @app.websocket("/ws")
        async def talk(socket: WebSocket) -> None:
            assert current() is None
            await socket.accept()
            await socket.send_text(await socket.receive_text())
            await socket.close()

        app.add_middleware(kept.keeper.middleware)
        sent: list[Message] = []

        async def go() -> None:
            parts = iter([{"type": "websocket.connect"}, {"type": "websocket.receive", "text": "hi"}])

            async def receive() -> Message:
                return next(parts)

            async def send(message: Message) -> None:
                sent.append(message)

            await app(http_scope("/ws", subprotocols=[], type="websocket", scheme="ws"), receive, send)

        asyncio.run(go())
        assert [message["type"] for message in sent] == ["websocket.accept", "websocket.send", "websocket.close"]
        assert kept.events() == []


@asynccontextmanager
async def running(app: Any) -> AsyncIterator[None]:
    """The lifespan of an app, as a server leads it."""
    told: asyncio.Queue[Message] = asyncio.Queue()
    heard: asyncio.Queue[Message] = asyncio.Queue()
    task = asyncio.create_task(app({"type": "lifespan", "asgi": {"version": "3.0"}, "state": {}}, told.get, heard.put))
    await told.put({"type": "lifespan.startup"})
    assert (await heard.get())["type"] == "lifespan.startup.complete"
    yield
    await told.put({"type": "lifespan.shutdown"})
    assert (await heard.get())["type"] == "lifespan.shutdown.complete"
    await task


class TestLitestar:
    def test_among_its_middleware(self, kept: Kept) -> None:
        app = make_litestar(middleware=[kept.keeper.middleware])
        for path in ("/users/7", "/boom", "/handled", "/nothing"):
            answer(app, path)
        told = [(event["route"], event["status_code"], event.get("exception")) for event in kept.events()]
        assert told == [
            ("/users/{user_id}", 200, None),
            ("/boom", 500, "ValueError('boom')"),
            ("/handled", 409, None),  # and no 404: Litestar has no middleware around that
        ]

    def test_in_place_of_its_handler(self, kept: Kept) -> None:
        app = make_litestar()
        app.asgi_handler = kept.wrap(app.asgi_handler)
        for path in ("/boom", "/nothing"):
            answer(app, path)
        assert [(event["status_code"], event["source"]) for event in kept.events()] == [(500, "Lite"), (404, "Lite")]

    def test_what_waits_is_delivered_when_it_shuts_down(self) -> None:
        kept = Kept()
        app = make_litestar()
        app.asgi_handler = kept.wrap(kept.wrap(app.asgi_handler))

        async def go() -> None:
            async with running(app):
                await Call(http_scope("/users/7")).run(app)
                assert kept.sink.events == []

        asyncio.run(go())
        assert len(kept.sink.events) == 1
        kept.close()

    def test_in_a_mount_of_starlette(self, kept: Kept) -> None:
        app = kept.wrap(Starlette(routes=[Mount("/lite", app=make_litestar())]))  # type: ignore[arg-type]  # each has its own names
        for path in ("/lite/users/7", "/lite/raw/x", "/lite/nothing"):
            answer(app, path)
        assert [event["route"] for event in kept.events()] == [
            "/lite/users/{user_id}",
            "/lite/raw/{path}",
            "(unmatched)",
        ]


class TestQuart:
    def test_a_sync_view_is_in_the_request(self, kept: Kept) -> None:
        app = make_quart()
        app.asgi_app = kept.keeper.middleware(app.asgi_app)  # type: ignore[method-assign]  # as Quart takes a middleware
        answer(app, "/sync/x")
        event = kept.event()
        assert event["variables"] == {"thread": "x"}
        assert event["source"] == "shop"

    def test_a_client_that_does_not_wait(self, kept: Kept) -> None:
        app = make_quart()

        @app.get("/slow")
        async def slow() -> str:
            await asyncio.sleep(60)
            return "late"

        async def go() -> Call:
            call = Call(http_scope("/slow"))
            call._answered.set()
            return await call.run(kept.wrap(app))

        assert asyncio.run(go()).sent == []
        assert kept.event()["status_code"] == 499

    def test_trouble_with_a_route_stays_here(self, kept: Kept, monkeypatch: pytest.MonkeyPatch) -> None:
        def fail() -> str:
            raise LookupError

        monkeypatch.setattr("tollkeeper.capture.asgi_hosts._quart_route", fail)
        assert text(answer(kept.wrap(make_quart()), "/sync/x")) == b"x"
        assert kept.event()["route"] == "(unmatched)"
        assert kept.close().errors == {"route": 1}

    def test_where_it_is_not_installed_nothing_is_asked_of_it(
        self, kept: Kept, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.delitem(sys.modules, "quart")
        answer(kept.wrap(make_starlette()), "/users/7")
        assert kept.event()["route"] == "/users/{user_id}"

    def test_apps_that_are_not_watched_are_left_alone(self, kept: Kept) -> None:
        kept.wrap(make_quart())
        assert answer(make_quart(), "/boom").sent[0]["status"] == 500
        assert kept.events() == []


def test_a_wrong_option_is_told_at_once() -> None:
    with pytest.raises(ConfigurationError, match="captur"):
        Tollkeeper(sink="memory:", captur="all")  # type: ignore[call-arg]  # the mistake


SERVED = """
import fastapi, tollkeeper.asgi
app = fastapi.FastAPI()
app.add_api_route("/users/{user_id}", lambda user_id: user_id)
app.add_middleware(tollkeeper.asgi.Tollkeeper, sink="sqlite:///usage.db")
"""


@pytest.mark.timeout(60)
def test_uvicorn_that_is_told_to_end_has_delivered_all(tmp_path: Path) -> None:
    (tmp_path / "served.py").write_text(SERVED, encoding="utf-8")
    command = [sys.executable, "-m", "uvicorn", "served:app", "--port", "0", "--log-level", "info"]
    with subprocess.Popen(
        command,
        cwd=tmp_path,
        env=environment() | {"TOLLKEEPER_FLUSH_SECONDS": "600"},
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            assert process.stderr is not None
            address = next(line.split("running on ")[1].split()[0] for line in process.stderr if "running on " in line)
            with httpx.Client(base_url=address) as client:
                for number in range(20):
                    assert client.get(f"/users/{number}").json() == str(number)
        finally:
            process.send_signal(signal.SIGTERM)
            process.communicate(timeout=30)
    connection = sqlite3.connect(tmp_path / "usage.db")
    rows = connection.execute("SELECT route, count(*) FROM usage_events GROUP BY 1").fetchall()
    connection.close()
    assert rows == [("/users/{user_id}", 20)]
