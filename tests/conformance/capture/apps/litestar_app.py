"""The shop in Litestar."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from litestar import Litestar, MediaType, Request, Response, Router, WebSocket, delete, get, post, route, websocket
from litestar.background_tasks import BackgroundTask
from litestar.datastructures import Cookie
from litestar.exceptions import ClientException, HTTPException, SerializationException
from litestar.response import File, Redirect, Stream

from conformance.capture.apps import shop
from conformance.capture.apps.gate import Gate
from tollkeeper import skip
from tollkeeper.asgi import Tollkeeper

if TYPE_CHECKING:
    from litestar.types import ASGIApp

    from tollkeeper.sinks.base import Sink

__all__ = ["make"]

Asked = Request[Any, Any, Any]
BYTES = "application/octet-stream"
TEXT = MediaType.TEXT


def make(sink: Sink | None, **options: Any) -> ASGIApp:
    """Make the app; without a sink it has never heard of Tollkeeper."""
    app = Litestar(
        [*PLAIN, *BODIES, *STREAMS, *HEADERS, *FAILURES, *NOTES, Router("/v1", route_handlers=[nested_user])],
        openapi_config=None,
        logging_config=None,
    )
    return app if sink is None else Tollkeeper(app, sink=sink, **(shop.OPTIONS | options))


@get("/users/{user_id:int}")
async def user(request: Asked) -> dict[str, Any]:
    return shop.USER | {"id": request.path_params["user_id"]}


@get("/users/{user_id:int}")
async def nested_user(request: Asked) -> dict[str, Any]:
    return shop.USER | {"id": request.path_params["user_id"]}


@get("/shops/{shop_name:str}/items/{item:int}/{rest:path}", media_type=TEXT)
async def several(request: Asked) -> str:
    return " ".join(map(str, request.path_params.values()))


@route("/items/{item_id:str}", http_method=["PUT", "PATCH"])
async def change(request: Asked) -> dict[str, Any]:
    return {"id": request.path_params["item_id"], "method": request.method, "got": await request.json()}


@delete("/items/{item_id:str}")
async def remove() -> None:
    return None


@get("/text", media_type=TEXT)
async def text() -> str:
    return shop.TEXT


@get("/slash/", media_type=TEXT)
async def slash() -> str:
    return "slash"


@get("/away", status_code=302)
async def away() -> Redirect:
    return Redirect("/users/7?token=hunter2")


@get("/search")
async def search(request: Asked) -> list[Any]:
    return list(request.query_params.multi_items())


@get("/cached", media_type=TEXT)
async def cached(request: Asked) -> Response[str | None]:
    if request.headers.get("if-none-match") == shop.ETAG:
        return Response(None, status_code=304, headers={"ETag": shop.ETAG})
    return Response("cached", headers={"ETag": shop.ETAG})


@get("/async", media_type=TEXT)
async def asynchronous() -> str:
    shop.notes()
    return "async"


@get("/sync", media_type=TEXT, sync_to_thread=True)
def synchronous() -> str:
    shop.notes()
    return "sync"


@post("/echo", status_code=200)
async def echo(request: Asked) -> Response[bytes]:
    return Response(await request.body(), media_type=request.headers.get("content-type", BYTES))


@post("/json", status_code=200)
async def parsed(request: Asked) -> dict[str, Any]:
    try:
        return {"got": await request.json()}
    except SerializationException:
        raise ClientException("no JSON") from None


@post("/form", status_code=200)
async def form(request: Asked) -> dict[str, Any]:
    fields, files = [], []
    for name, value in (await request.form()).multi_items():
        if isinstance(value, str):
            fields.append([name, value])
        else:
            files.append([name, value.filename, len(await value.read())])
    return {"fields": fields, "files": files}


@post("/count", status_code=200, media_type=TEXT)
async def count(request: Asked) -> str:
    return shop.digest(await request.body())


@post("/pieces", status_code=200, media_type=TEXT)
async def pieces(request: Asked) -> str:
    with Gate(request.headers.get("x-gate")):
        return shop.digest(b"".join([piece async for piece in request.stream()]))


@post("/unread", status_code=200, media_type=TEXT)
async def unread() -> str:
    return "unread"


@route("/mirror/{rest:path}", http_method=["GET", "POST", "PUT", "PATCH", "DELETE"], status_code=200)
async def mirror(request: Asked) -> Response[str]:
    query = request.scope["query_string"].decode("latin-1")
    told = shop.mirrored(request.method, request.scope["path"], query, request.headers.multi_items())
    return Response(told, media_type="application/json")


@get("/stream")
async def stream(request: Asked) -> Stream:
    return Stream(shop.async_chunks(request.headers), media_type="text/plain")


@get("/endless")
async def endless(request: Asked) -> Stream:
    return Stream(shop.async_endless_chunks(request.headers), media_type=BYTES)


@get("/broken")
async def broken() -> Stream:
    return Stream(shop.async_broken_chunks(), media_type="text/plain")


@get("/large", media_type=BYTES)
async def large() -> bytes:
    return shop.LARGE


@get("/file")
async def file() -> File:
    return File(shop.FILE, media_type=BYTES)


@get("/background")
async def background(request: Asked) -> Response[str]:
    gate = Gate(request.headers.get("x-gate"))

    def task() -> None:
        with gate:
            gate.wait()

    return Response("done", media_type=TEXT, background=BackgroundTask(task))


@get("/empty", status_code=204)
async def empty() -> None:
    return None


@get("/many", media_type=TEXT)
async def many() -> Response[str]:
    cookies = [Cookie("sid", "hunter2"), Cookie("theme", "dark")]
    return Response("many", headers={"X-Many": "1, 2"}, cookies=cookies)


@get("/latin", media_type=TEXT)
async def latin() -> Response[str]:
    return Response("latin", headers={"X-Name": "caf\xe9"})


@get("/packed")
async def packed() -> Response[bytes]:
    return Response(shop.PACKED, media_type="application/json", headers={"Content-Encoding": "gzip"})


@get("/boom", media_type=TEXT)
async def boom() -> str:
    raise ValueError("boom")


@get("/abort", media_type=TEXT)
async def aborted() -> str:
    raise HTTPException(status_code=409)


@get("/teapot", media_type=TEXT, status_code=418)
async def teapot() -> str:
    return "short and stout"


@get("/context", media_type=TEXT)
async def context() -> str:
    shop.note_all()
    return "context"


@get("/skip", media_type=TEXT)
async def skipped() -> str:
    skip()
    return "skip"


@get("/excluded", media_type=TEXT)
async def excluded() -> str:
    return "excluded"


@websocket("/socket")
async def socket(socket: WebSocket[Any, Any, Any]) -> None:
    await socket.accept()
    async for message in socket.iter_data("text"):
        await socket.send_text(f"echo {message}")


PLAIN = [user, several, change, remove, text, slash, away, search, cached, asynchronous, synchronous]
BODIES = [echo, parsed, form, count, pieces, unread, mirror]
STREAMS = [stream, endless, broken, large, file, background]
HEADERS = [empty, many, latin, packed]
FAILURES = [boom, aborted, teapot]
NOTES = [context, skipped, excluded, socket]
