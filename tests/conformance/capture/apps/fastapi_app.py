"""The shop in FastAPI."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from fastapi import APIRouter, BackgroundTasks, Body, FastAPI, HTTPException, Request, WebSocket
from fastapi.responses import FileResponse, JSONResponse, PlainTextResponse, RedirectResponse, Response
from fastapi.responses import StreamingResponse as Streaming

from conformance.capture.apps import shop
from conformance.capture.apps.gate import Gate
from tollkeeper import skip
from tollkeeper.asgi import Tollkeeper

if TYPE_CHECKING:
    from tollkeeper.sinks.base import Sink

__all__ = ["make"]

BYTES = "application/octet-stream"


def make(sink: Sink | None, **options: Any) -> FastAPI:
    """Make the app; without a sink it has never heard of Tollkeeper."""
    app = FastAPI(title="shop")
    nested = APIRouter(prefix="/v1")
    nested.add_api_route("/users/{user_id}", user)
    app.include_router(nested)
    for add in (_add_plain, _add_bodies, _add_streams, _add_headers, _add_failures, _add_notes):
        add(app)
    if sink is not None:
        app.add_middleware(Tollkeeper, sink=sink, **(shop.OPTIONS | options))
    return app


async def user(user_id: int) -> dict[str, Any]:
    return shop.USER | {"id": user_id}


def _add_plain(app: FastAPI) -> None:  # noqa: C901 - a list of views
    app.get("/users/{user_id}")(user)

    @app.get("/shops/{shop_name}/items/{item}/{rest:path}")
    async def several(shop_name: str, item: int, rest: str) -> Response:
        return PlainTextResponse(f"{shop_name} {item} {rest}")

    @app.api_route("/items/{item_id}", methods=["PUT", "PATCH"])
    async def change(request: Request, item_id: str, got: Annotated[dict[str, Any], Body()]) -> dict[str, Any]:
        return {"id": item_id, "method": request.method, "got": got}

    @app.delete("/items/{item_id}", status_code=204, response_model=None)
    async def remove(item_id: str) -> None:
        assert item_id

    @app.get("/text", response_class=PlainTextResponse)
    async def text() -> str:
        return shop.TEXT

    @app.get("/slash/")
    async def slash() -> str:
        return "slash"

    @app.get("/away")
    async def away() -> Response:
        return RedirectResponse("/users/7?token=hunter2", status_code=302)

    @app.get("/search")
    async def search(request: Request) -> list[Any]:
        return request.query_params.multi_items()

    @app.get("/cached")
    async def cached(request: Request) -> Response:
        if request.headers.get("if-none-match") == shop.ETAG:
            return Response(status_code=304, headers={"ETag": shop.ETAG})
        return PlainTextResponse("cached", headers={"ETag": shop.ETAG})

    @app.get("/async")
    async def asynchronous() -> str:
        shop.notes()
        return "async"

    @app.get("/sync")
    def synchronous() -> str:
        shop.notes()
        return "sync"


def _add_bodies(app: FastAPI) -> None:
    @app.post("/echo")
    async def echo(request: Request) -> Response:
        return Response(await request.body(), headers={"Content-Type": request.headers.get("content-type", "")})

    @app.post("/json")
    async def parsed(got: Annotated[Any, Body()]) -> dict[str, Any]:
        return {"got": got}

    @app.post("/form")
    async def form_view(request: Request) -> dict[str, Any]:
        fields, files = [], []
        async with request.form() as form:
            for name, value in form.multi_items():
                if isinstance(value, str):
                    fields.append([name, value])
                else:
                    files.append([name, value.filename, len(await value.read())])
        return {"fields": fields, "files": files}

    @app.post("/count")
    async def count(request: Request) -> str:
        return shop.digest(await request.body())

    @app.post("/pieces")
    async def pieces(request: Request) -> str:
        with Gate(request.headers.get("x-gate")):
            return shop.digest(b"".join([piece async for piece in request.stream()]))

    @app.post("/unread")
    async def unread() -> str:
        return "unread"

    @app.api_route("/mirror/{rest:path}", methods=["GET", "POST", "PUT", "PATCH", "DELETE"])
    async def mirror(request: Request) -> Response:
        query = request.scope["query_string"].decode("latin-1")
        told = shop.mirrored(request.method, request.scope["path"], query, request.headers.items())
        return Response(told, media_type="application/json")


def _add_streams(app: FastAPI) -> None:
    @app.get("/stream")
    async def stream(request: Request) -> Response:
        return Streaming(shop.async_chunks(request.headers), media_type="text/plain")

    @app.get("/endless")
    async def endless(request: Request) -> Response:
        return Streaming(shop.async_endless_chunks(request.headers), media_type=BYTES)

    @app.get("/broken")
    async def broken() -> Response:
        return Streaming(shop.async_broken_chunks(), media_type="text/plain")

    @app.get("/large")
    async def large() -> Response:
        return Response(shop.LARGE, media_type=BYTES)

    @app.get("/file")
    async def file() -> Response:
        return FileResponse(shop.FILE, media_type=BYTES)

    @app.get("/background")
    async def background(request: Request, tasks: BackgroundTasks) -> str:
        gate = Gate(request.headers.get("x-gate"))

        def task() -> None:
            with gate:
                gate.wait()

        tasks.add_task(task)
        return "done"


def _add_headers(app: FastAPI) -> None:
    @app.get("/empty", status_code=204, response_model=None)
    async def empty() -> None:
        return None

    @app.get("/many")
    async def many() -> Response:
        response = PlainTextResponse("many")
        for name, value in shop.MANY_HEADERS:
            response.headers.append(name, value)
        return response

    @app.get("/latin")
    async def latin() -> Response:
        return PlainTextResponse("latin", headers={"X-Name": "caf\xe9"})

    @app.get("/packed")
    async def packed() -> Response:
        return Response(shop.PACKED, media_type="application/json", headers={"Content-Encoding": "gzip"})


def _add_failures(app: FastAPI) -> None:
    @app.get("/boom")
    async def boom() -> str:
        raise ValueError("boom")

    @app.get("/abort")
    async def aborted() -> str:
        raise HTTPException(409)

    @app.get("/teapot")
    async def teapot() -> Response:
        return JSONResponse("short and stout", status_code=418)


def _add_notes(app: FastAPI) -> None:
    @app.get("/context")
    async def context() -> str:
        shop.note_all()
        return "context"

    @app.get("/skip")
    async def skipped() -> str:
        skip()
        return "skip"

    @app.get("/excluded")
    async def excluded() -> str:
        return "excluded"

    @app.websocket("/socket")
    async def socket(websocket: WebSocket) -> None:
        await websocket.accept()
        async for message in websocket.iter_text():
            await websocket.send_text(f"echo {message}")
