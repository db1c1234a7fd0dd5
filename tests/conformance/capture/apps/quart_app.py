"""The shop in Quart."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from quart import Blueprint, Quart, Response, abort, jsonify, redirect, request, send_file, websocket

from conformance.capture.apps import shop
from conformance.capture.apps.gate import Gate
from tollkeeper import skip
from tollkeeper.asgi import Tollkeeper

if TYPE_CHECKING:
    from tollkeeper.sinks.base import Sink

__all__ = ["make"]

ALL = ["GET", "POST", "PUT", "PATCH", "DELETE"]


def make(sink: Sink | None, *, propagate: bool = False, **options: Any) -> Quart:
    """Make the app; without a sink it has never heard of Tollkeeper."""
    app = Quart("shop")
    app.config["PROPAGATE_EXCEPTIONS"] = propagate
    app.register_blueprint(_nested())
    for add in (_add_plain, _add_bodies, _add_streams, _add_headers, _add_failures, _add_notes):
        add(app)
    if sink is not None:
        app.asgi_app = Tollkeeper(app.asgi_app, sink=sink, **(shop.OPTIONS | options))  # type: ignore[method-assign]  # how Quart takes a middleware
    return app


def _nested() -> Blueprint:
    nested = Blueprint("nested", __name__, url_prefix="/v1")

    @nested.get("/users/<int:user_id>")
    async def user(user_id: int) -> Response:
        return jsonify(shop.USER | {"id": user_id})

    return nested


def _add_plain(app: Quart) -> None:  # noqa: C901 - a list of views
    @app.get("/users/<int:user_id>")
    async def user(user_id: int) -> Response:
        return jsonify(shop.USER | {"id": user_id})

    @app.get("/shops/<shop_name>/items/<int:item>/<path:rest>")
    async def several(shop_name: str, item: int, rest: str) -> Response:
        return Response(f"{shop_name} {item} {rest}", mimetype="text/plain")

    @app.route("/items/<item_id>", methods=["PUT", "PATCH"])
    async def change(item_id: str) -> Response:
        return jsonify(id=item_id, method=request.method, got=await request.get_json())

    @app.delete("/items/<item_id>")
    async def remove(item_id: str) -> tuple[str, int]:
        return item_id[:0], 204

    @app.get("/text")
    async def text() -> Response:
        return Response(shop.TEXT, mimetype="text/plain")

    @app.get("/slash/")
    async def slash() -> str:
        return "slash"

    @app.get("/away")
    async def away() -> Any:
        return redirect("/users/7?token=hunter2")

    @app.get("/search")
    async def search() -> Response:
        return jsonify(list(request.args.items(multi=True)))

    @app.get("/cached")
    async def cached() -> Response:
        response = Response("cached", headers={"ETag": shop.ETAG})
        return await response.make_conditional(request)

    @app.get("/async")
    async def asynchronous() -> str:
        shop.notes()
        return "async"

    @app.get("/sync")
    def synchronous() -> str:
        shop.notes()
        return "sync"


def _add_bodies(app: Quart) -> None:
    @app.post("/echo")
    async def echo() -> Response:
        return Response(await request.get_data(as_text=False), content_type=request.headers.get("Content-Type"))

    @app.post("/json")
    async def parsed() -> Response:
        return jsonify(got=await request.get_json())

    @app.post("/form")
    async def form() -> Response:
        fields = list((await request.form).items(multi=True))
        files = [[name, file.filename, len(file.read())] for name, file in (await request.files).items(multi=True)]
        return jsonify(fields=fields, files=files)

    @app.post("/count")
    async def count() -> str:
        data: Any = await request.get_data(as_text=False)
        return shop.digest(data)

    @app.post("/pieces")
    async def pieces() -> str:
        with Gate(request.headers.get("X-Gate")):
            return shop.digest(b"".join([piece async for piece in request.body]))

    @app.post("/unread")
    async def unread() -> str:
        return "unread"

    @app.route("/mirror/<path:rest>", methods=ALL)
    async def mirror(rest: str) -> Response:
        query = request.query_string.decode("latin-1")
        told = shop.mirrored(request.method, f"/mirror/{rest}", query, request.headers.items())
        return Response(told, mimetype="application/json")


def _add_streams(app: Quart) -> None:
    @app.get("/stream")
    async def stream() -> Response:
        return Response(shop.async_chunks(request.headers), mimetype="text/plain")

    @app.get("/endless")
    async def endless() -> Response:
        return Response(shop.async_endless_chunks(request.headers), mimetype="application/octet-stream")

    @app.get("/broken")
    async def broken() -> Response:
        return Response(shop.async_broken_chunks(), mimetype="text/plain")

    @app.get("/large")
    async def large() -> Response:
        return Response(shop.LARGE, mimetype="application/octet-stream")

    @app.get("/file")
    async def file() -> Response:
        return await send_file(shop.FILE, mimetype="application/octet-stream", conditional=True)

    @app.get("/background")
    async def background() -> str:
        gate = Gate(request.headers.get("X-Gate"))

        def task() -> None:
            with gate:
                gate.wait()

        app.add_background_task(task)
        return "done"


def _add_headers(app: Quart) -> None:
    @app.get("/empty")
    async def empty() -> tuple[str, int]:
        return "", 204

    @app.get("/many")
    async def many() -> Response:
        response = Response("many")
        for name, value in shop.MANY_HEADERS:
            response.headers.add(name, value)
        return response

    @app.get("/latin")
    async def latin() -> Response:
        return Response("latin", headers={"X-Name": "caf\xe9"})

    @app.get("/packed")
    async def packed() -> Response:
        return Response(shop.PACKED, mimetype="application/json", headers={"Content-Encoding": "gzip"})


def _add_failures(app: Quart) -> None:
    @app.get("/boom")
    async def boom() -> str:
        raise ValueError("boom")

    @app.get("/abort")
    async def aborted() -> str:
        abort(409)

    @app.get("/teapot")
    async def teapot() -> tuple[str, int]:
        return "short and stout", 418


def _add_notes(app: Quart) -> None:
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
    async def socket() -> None:
        while True:
            message: Any = await websocket.receive()
            await websocket.send(f"echo {message}")
