"""The shop in Flask."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from flask import Blueprint, Flask, Response, abort, jsonify, redirect, request, send_file, stream_with_context

from conformance.capture.apps import shop
from conformance.capture.apps.gate import Gate
from tollkeeper import skip
from tollkeeper.flask import Tollkeeper

if TYPE_CHECKING:
    from tollkeeper.sinks.base import Sink

__all__ = ["make"]

ALL = ["GET", "POST", "PUT", "PATCH", "DELETE"]


def make(sink: Sink | None, *, propagate: bool = False, **options: Any) -> Flask:
    """Make the app; without a sink it has never heard of Tollkeeper."""
    app = Flask("shop")
    app.config["PROPAGATE_EXCEPTIONS"] = propagate
    app.register_blueprint(_nested())
    for add in (_add_plain, _add_bodies, _add_streams, _add_headers, _add_failures, _add_notes):
        add(app)
    if sink is not None:
        Tollkeeper(app, sink=sink, **(shop.OPTIONS | options))
    return app


def _nested() -> Blueprint:
    nested = Blueprint("nested", __name__, url_prefix="/v1")

    @nested.get("/users/<int:user_id>")
    def user(user_id: int) -> Response:
        return jsonify(shop.USER | {"id": user_id})

    return nested


def _add_plain(app: Flask) -> None:  # noqa: C901 - a list of views
    @app.get("/users/<int:user_id>")
    def user(user_id: int) -> Response:
        return jsonify(shop.USER | {"id": user_id})

    @app.get("/shops/<shop_name>/items/<int:item>/<path:rest>")
    def several(shop_name: str, item: int, rest: str) -> Response:
        return Response(f"{shop_name} {item} {rest}", mimetype="text/plain")

    @app.route("/items/<item_id>", methods=["PUT", "PATCH"])
    def change(item_id: str) -> Response:
        return jsonify(id=item_id, method=request.method, got=request.get_json())

    @app.delete("/items/<item_id>")
    def remove(item_id: str) -> tuple[str, int]:
        return item_id[:0], 204

    @app.get("/text")
    def text() -> Response:
        return Response(shop.TEXT, mimetype="text/plain")

    @app.get("/slash/")
    def slash() -> str:
        return "slash"

    @app.get("/away")
    def away() -> Any:
        return redirect("/users/7?token=hunter2")

    @app.get("/search")
    def search() -> Response:
        return jsonify(list(request.args.items(multi=True)))

    @app.get("/cached")
    def cached() -> Any:
        response = Response("cached", headers={"ETag": shop.ETAG})
        return response.make_conditional(request)

    @app.get("/async")
    async def asynchronous() -> str:
        shop.notes()
        return "async"

    @app.get("/sync")
    def synchronous() -> str:
        shop.notes()
        return "sync"


def _add_bodies(app: Flask) -> None:
    @app.post("/echo")
    def echo() -> Response:
        return Response(request.get_data(), content_type=request.headers.get("Content-Type"))

    @app.post("/json")
    def parsed() -> Response:
        return jsonify(got=request.get_json())

    @app.post("/form")
    def form() -> Response:
        files = [[name, file.filename, len(file.read())] for name, file in request.files.items(multi=True)]
        return jsonify(fields=list(request.form.items(multi=True)), files=files)

    @app.post("/count")
    def count() -> str:
        return shop.digest(request.get_data())

    @app.post("/pieces")
    def pieces() -> str:
        with Gate(request.headers.get("X-Gate")):
            return shop.digest(b"".join(iter(lambda: request.stream.read(1000), b"")))

    @app.post("/unread")
    def unread() -> str:
        return "unread"

    @app.route("/mirror/<path:rest>", methods=ALL)
    def mirror(rest: str) -> Response:
        query = request.query_string.decode("latin-1")
        told = shop.mirrored(request.method, f"/mirror/{rest}", query, request.headers.items())
        return Response(told, mimetype="application/json")


def _add_streams(app: Flask) -> None:
    @app.get("/stream")
    def stream() -> Response:
        return Response(stream_with_context(shop.chunks(request.headers)), mimetype="text/plain")

    @app.get("/endless")
    def endless() -> Response:
        return Response(shop.endless_chunks(request.headers), mimetype="application/octet-stream")

    @app.get("/broken")
    def broken() -> Response:
        return Response(shop.broken_chunks(), mimetype="text/plain")

    @app.get("/large")
    def large() -> Response:
        return Response(shop.LARGE, mimetype="application/octet-stream")

    @app.get("/file")
    def file() -> Response:
        return send_file(shop.FILE, mimetype="application/octet-stream", conditional=True)

    @app.get("/background")
    def background() -> Response:
        gate = Gate(request.headers.get("X-Gate"))
        response = Response("done", mimetype="text/plain")

        @response.call_on_close
        def task() -> None:
            with gate:
                gate.wait()

        return response


def _add_headers(app: Flask) -> None:
    @app.get("/empty")
    def empty() -> tuple[str, int]:
        return "", 204

    @app.get("/many")
    def many() -> Response:
        return Response("many", headers=list(shop.MANY_HEADERS))

    @app.get("/latin")
    def latin() -> Response:
        return Response("latin", headers={"X-Name": "caf\xe9"})

    @app.get("/packed")
    def packed() -> Response:
        return Response(shop.PACKED, mimetype="application/json", headers={"Content-Encoding": "gzip"})


def _add_failures(app: Flask) -> None:
    @app.get("/boom")
    def boom() -> str:
        raise ValueError("boom")

    @app.get("/abort")
    def aborted() -> str:
        abort(409)

    @app.get("/teapot")
    def teapot() -> tuple[str, int]:
        return "short and stout", 418


def _add_notes(app: Flask) -> None:
    @app.get("/context")
    def context() -> str:
        shop.note_all()
        return "context"

    @app.get("/skip")
    def skipped() -> str:
        skip()
        return "skip"

    @app.get("/excluded")
    def excluded() -> str:
        return "excluded"
