"""The shop in Starlette."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.exceptions import HTTPException
from starlette.responses import FileResponse, JSONResponse, PlainTextResponse, RedirectResponse, Response
from starlette.responses import StreamingResponse as Streaming
from starlette.routing import Mount, Route, WebSocketRoute

from conformance.capture.apps import shop
from conformance.capture.apps.gate import Gate
from tollkeeper import skip
from tollkeeper.asgi import Tollkeeper

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.websockets import WebSocket

    from tollkeeper.sinks.base import Sink

__all__ = ["make"]

ALL = ["GET", "POST", "PUT", "PATCH", "DELETE"]
BYTES = "application/octet-stream"


def make(sink: Sink | None, **options: Any) -> Starlette:
    """Make the app; without a sink it has never heard of Tollkeeper."""
    app = Starlette(routes=ROUTES)
    if sink is not None:
        app.add_middleware(Tollkeeper, sink=sink, **(shop.OPTIONS | options))
    return app


async def user(request: Request) -> Response:
    return JSONResponse(shop.USER | {"id": request.path_params["user_id"]})


async def several(request: Request) -> Response:
    return PlainTextResponse(" ".join(map(str, request.path_params.values())))


async def change(request: Request) -> Response:
    got = await request.json()
    return JSONResponse({"id": request.path_params["item_id"], "method": request.method, "got": got})


async def remove(_: Request) -> Response:
    return Response(status_code=204)


async def text(_: Request) -> Response:
    return PlainTextResponse(shop.TEXT)


async def slash(_: Request) -> Response:
    return PlainTextResponse("slash")


async def away(_: Request) -> Response:
    return RedirectResponse("/users/7?token=hunter2", status_code=302)


async def search(request: Request) -> Response:
    return JSONResponse(request.query_params.multi_items())


async def cached(request: Request) -> Response:
    if request.headers.get("if-none-match") == shop.ETAG:
        return Response(status_code=304, headers={"ETag": shop.ETAG})
    return PlainTextResponse("cached", headers={"ETag": shop.ETAG})


async def asynchronous(_: Request) -> Response:
    await asyncio.sleep(0)
    shop.notes()
    return PlainTextResponse("async")


def synchronous(_: Request) -> Response:
    shop.notes()
    return PlainTextResponse("sync")


async def echo(request: Request) -> Response:
    return Response(await request.body(), headers={"Content-Type": request.headers.get("content-type", "")})


async def parsed(request: Request) -> Response:
    try:
        got = await request.json()
    except ValueError:
        raise HTTPException(400, "no JSON") from None
    return JSONResponse({"got": got})


async def form(request: Request) -> Response:
    fields, files = [], []
    async with request.form() as sent:
        for name, value in sent.multi_items():
            if isinstance(value, str):
                fields.append([name, value])
            else:
                files.append([name, value.filename, len(await value.read())])
    return JSONResponse({"fields": fields, "files": files})


async def count(request: Request) -> Response:
    return PlainTextResponse(shop.digest(await request.body()))


async def pieces(request: Request) -> Response:
    with Gate(request.headers.get("x-gate")):
        return PlainTextResponse(shop.digest(b"".join([piece async for piece in request.stream()])))


async def unread(_: Request) -> Response:
    return PlainTextResponse("unread")


async def mirror(request: Request) -> Response:
    query = request.scope["query_string"].decode("latin-1")
    told = shop.mirrored(request.method, request.scope["path"], query, request.headers.items())
    return Response(told, media_type="application/json")


async def stream(request: Request) -> Response:
    return Streaming(shop.async_chunks(request.headers), media_type="text/plain")


async def endless(request: Request) -> Response:
    return Streaming(shop.async_endless_chunks(request.headers), media_type=BYTES)


async def broken(_: Request) -> Response:
    return Streaming(shop.async_broken_chunks(), media_type="text/plain")


async def large(_: Request) -> Response:
    return Response(shop.LARGE, media_type=BYTES)


async def file(_: Request) -> Response:
    return FileResponse(shop.FILE, media_type=BYTES)


async def background(request: Request) -> Response:
    gate = Gate(request.headers.get("x-gate"))

    def task() -> None:
        with gate:
            gate.wait()

    return PlainTextResponse("done", background=BackgroundTask(task))


async def empty(_: Request) -> Response:
    return Response(status_code=204)


async def many(_: Request) -> Response:
    response = PlainTextResponse("many")
    for name, value in shop.MANY_HEADERS:
        response.headers.append(name, value)
    return response


async def latin(_: Request) -> Response:
    return PlainTextResponse("latin", headers={"X-Name": "caf\xe9"})


async def packed(_: Request) -> Response:
    return Response(shop.PACKED, media_type="application/json", headers={"Content-Encoding": "gzip"})


async def boom(_: Request) -> Response:
    raise ValueError("boom")


async def aborted(_: Request) -> Response:
    raise HTTPException(409)


async def teapot(_: Request) -> Response:
    return PlainTextResponse("short and stout", status_code=418)


async def context(_: Request) -> Response:
    shop.note_all()
    return PlainTextResponse("context")


async def skipped(_: Request) -> Response:
    skip()
    return PlainTextResponse("skip")


async def excluded(_: Request) -> Response:
    return PlainTextResponse("excluded")


async def socket(websocket: WebSocket) -> None:
    await websocket.accept()
    async for message in websocket.iter_text():
        await websocket.send_text(f"echo {message}")


ROUTES = [
    Route("/users/{user_id:int}", user),
    Mount("/v1", routes=[Route("/users/{user_id:int}", user)]),
    Route("/shops/{shop_name}/items/{item:int}/{rest:path}", several),
    Route("/items/{item_id}", change, methods=["PUT", "PATCH"]),
    Route("/items/{item_id}", remove, methods=["DELETE"]),
    Route("/mirror/{rest:path}", mirror, methods=ALL),
    *(Route(f"/{view.__name__}", view) for view in (text, away, search, cached, stream, endless, broken, large, file)),
    *(Route(f"/{view.__name__}", view) for view in (background, empty, many, latin, packed, boom, teapot, context)),
    *(Route(f"/{view.__name__}", view, methods=["POST"]) for view in (echo, form, count, pieces, unread)),
    Route("/slash/", slash),
    Route("/async", asynchronous),
    Route("/sync", synchronous),
    Route("/json", parsed, methods=["POST"]),
    Route("/abort", aborted),
    Route("/skip", skipped),
    Route("/excluded", excluded),
    WebSocketRoute("/socket", socket),
]
