"""The shop in plain WSGI, with the corners of PEP 3333 that frameworks hide."""

from __future__ import annotations

import json
import re
import sys
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl
from wsgiref.validate import validator

from conformance.capture.apps import shop
from conformance.capture.apps.gate import Gate
from tollkeeper import skip
from tollkeeper.wsgi import Tollkeeper

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

    from tollkeeper.sinks.base import Sink

    View = Callable[[WSGIEnvironment, StartResponse, dict[str, str]], Iterable[bytes]]

__all__ = ["make", "make_validated"]

ROUTE = "shop.route"


def make(sink: Sink | None, **options: Any) -> WSGIApplication:
    """Make the app; without a sink it has never heard of Tollkeeper."""
    return _watched(_app, sink, options)


def make_validated(sink: Sink | None, **options: Any) -> WSGIApplication:
    """Make it between two validators, that of the application and that of the server which Tollkeeper is to it."""
    return validator(_watched(validator(_app), sink, options))


def _watched(app: WSGIApplication, sink: Sink | None, options: dict[str, Any]) -> WSGIApplication:
    if sink is None:
        return app
    return Tollkeeper(app, sink=sink, route=lambda environ: environ.get(ROUTE), **(shop.OPTIONS | options))


def _app(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    found = False
    for template, methods, view in ROUTES:
        match = _pattern(template).fullmatch(environ["PATH_INFO"])
        if match:
            environ[ROUTE] = template
            found = True
            if environ["REQUEST_METHOD"] in methods.split():
                return view(environ, start_response, match.groupdict())
    if not found and any(template == f"{environ['PATH_INFO']}/" for template, _, _ in ROUTES):
        environ[ROUTE] = f"{environ['PATH_INFO']}/"
        start_response("308 Permanent Redirect", [("Location", environ[ROUTE]), ("Content-Type", "text/plain")])
        return []
    return _text(environ, start_response, "no", "405 Method Not Allowed" if found else "404 Not Found")


def _pattern(template: str) -> re.Pattern[str]:
    kinds = {"rest": ".+", "user_id": "[0-9]+", "item": "[0-9]+"}
    return re.compile(re.sub(r"\{(\w+)\}", lambda found: f"(?P<{found[1]}>{kinds.get(found[1], '[^/]+')})", template))


def _text(  # noqa: PLR0917 - as the case has it
    environ: WSGIEnvironment,
    start_response: StartResponse,
    text: str | bytes,
    status: str = "200 OK",
    kind: str = "text/plain; charset=utf-8",
    headers: Iterable[tuple[str, str]] = (),
) -> Iterable[bytes]:
    body = text.encode() if isinstance(text, str) else text
    start_response(status, [("Content-Type", kind), ("Content-Length", str(len(body))), *headers])
    return [] if environ["REQUEST_METHOD"] == "HEAD" else [body]


def _json(environ: WSGIEnvironment, start_response: StartResponse, document: Any, **more: Any) -> Iterable[bytes]:
    return _text(environ, start_response, json.dumps(document), kind="application/json", **more)


def _says(text: str) -> View:
    return lambda environ, start_response, _: _text(environ, start_response, text)


def _body(environ: WSGIEnvironment) -> bytes:
    if environ.get("wsgi.input_terminated") or environ.get("HTTP_TRANSFER_ENCODING"):
        return b"".join(iter(lambda: environ["wsgi.input"].read(65536), b""))
    body: bytes = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
    return body


def _headers(environ: WSGIEnvironment) -> dict[str, str]:
    return {
        name.removeprefix("HTTP_").replace("_", "-").title(): value
        for name, value in environ.items()
        if name.startswith("HTTP_") or name in {"CONTENT_TYPE", "CONTENT_LENGTH"}
    }


def _user(environ: WSGIEnvironment, start_response: StartResponse, values: dict[str, str]) -> Iterable[bytes]:
    return _json(environ, start_response, shop.USER | {"id": int(values["user_id"])})


def _several(environ: WSGIEnvironment, start_response: StartResponse, values: dict[str, str]) -> Iterable[bytes]:
    return _text(environ, start_response, " ".join(values.values()))


def _item(environ: WSGIEnvironment, start_response: StartResponse, values: dict[str, str]) -> Iterable[bytes]:
    if environ["REQUEST_METHOD"] == "DELETE":
        start_response("204 No Content", [])
        return []
    got = {"id": values["item_id"], "method": environ["REQUEST_METHOD"], "got": json.loads(_body(environ))}
    return _json(environ, start_response, got)


def _away(environ: WSGIEnvironment, start_response: StartResponse, _: dict[str, str]) -> Iterable[bytes]:
    return _text(environ, start_response, "", "302 Found", headers=[("Location", "/users/7?token=hunter2")])


def _search(environ: WSGIEnvironment, start_response: StartResponse, _: dict[str, str]) -> Iterable[bytes]:
    return _json(environ, start_response, parse_qsl(environ["QUERY_STRING"], keep_blank_values=True))


def _cached(environ: WSGIEnvironment, start_response: StartResponse, _: dict[str, str]) -> Iterable[bytes]:
    if environ.get("HTTP_IF_NONE_MATCH") == shop.ETAG:
        start_response("304 Not Modified", [("ETag", shop.ETAG)])
        return []
    return _text(environ, start_response, "cached", headers=[("ETag", shop.ETAG)])


def _echo(environ: WSGIEnvironment, start_response: StartResponse, _: dict[str, str]) -> Iterable[bytes]:
    return _text(environ, start_response, _body(environ), kind=environ.get("CONTENT_TYPE") or "")


def _parsed(environ: WSGIEnvironment, start_response: StartResponse, _: dict[str, str]) -> Iterable[bytes]:
    try:
        got = json.loads(_body(environ))
    except ValueError:
        return _text(environ, start_response, "no JSON", "400 Bad Request")
    return _json(environ, start_response, {"got": got})


def _count(environ: WSGIEnvironment, start_response: StartResponse, _: dict[str, str]) -> Iterable[bytes]:
    return _text(environ, start_response, shop.digest(_body(environ)))


def _pieces(environ: WSGIEnvironment, start_response: StartResponse, _: dict[str, str]) -> Iterable[bytes]:
    with Gate(environ.get("HTTP_X_GATE")):
        return _text(environ, start_response, shop.digest(_body(environ)))


def _lines(environ: WSGIEnvironment, start_response: StartResponse, _: dict[str, str]) -> Iterable[bytes]:
    stream = environ["wsgi.input"]
    told = [stream.readline(), *stream.readlines(1), *stream]
    return _text(environ, start_response, shop.digest(b"".join(told)))


def _mirror(environ: WSGIEnvironment, start_response: StartResponse, _: dict[str, str]) -> Iterable[bytes]:
    told = (environ["PATH_INFO"], environ["QUERY_STRING"], _headers(environ).items())
    return _text(environ, start_response, shop.mirrored(environ["REQUEST_METHOD"], *told), kind="application/json")


def _chunks(make_chunks: Callable[[WSGIEnvironment], Iterator[bytes]], kind: str = "text/plain") -> View:
    def view(environ: WSGIEnvironment, start_response: StartResponse, _: dict[str, str]) -> Iterable[bytes]:
        start_response("200 OK", [("Content-Type", kind)])
        return make_chunks(environ)

    return view


def _large(environ: WSGIEnvironment, start_response: StartResponse, _: dict[str, str]) -> Iterable[bytes]:
    return _text(environ, start_response, shop.LARGE, kind="application/octet-stream")


def _file(environ: WSGIEnvironment, start_response: StartResponse, _: dict[str, str]) -> Iterable[bytes]:
    start_response("200 OK", [("Content-Type", "application/octet-stream")])
    file = shop.FILE.open("rb")
    wrap = environ.get("wsgi.file_wrapper")
    return wrap(file, 4096) if wrap else iter(lambda: file.read(4096), b"")


class _Closing:
    """An answer whose work goes on when it has been sent."""

    def __init__(self, gate: Gate) -> None:
        self._gate = gate

    def __iter__(self) -> Iterator[bytes]:
        return iter([b"do", b"ne"])

    def close(self) -> None:
        with self._gate:
            self._gate.wait()


def _background(environ: WSGIEnvironment, start_response: StartResponse, _: dict[str, str]) -> Iterable[bytes]:
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", "4")])
    return _Closing(Gate(environ.get("HTTP_X_GATE")))


def _empty(_environ: WSGIEnvironment, start_response: StartResponse, _: dict[str, str]) -> Iterable[bytes]:
    start_response("204 No Content", [])
    return [b""]


def _many(environ: WSGIEnvironment, start_response: StartResponse, _: dict[str, str]) -> Iterable[bytes]:
    return _text(environ, start_response, "many", headers=shop.MANY_HEADERS)


def _latin(environ: WSGIEnvironment, start_response: StartResponse, _: dict[str, str]) -> Iterable[bytes]:
    return _text(environ, start_response, "latin", headers=[("X-Name", "caf\xe9")])


def _packed(environ: WSGIEnvironment, start_response: StartResponse, _: dict[str, str]) -> Iterable[bytes]:
    headers = [("Content-Encoding", "gzip")]
    return _text(environ, start_response, shop.PACKED, kind="application/json", headers=headers)


def _boom(*_: object) -> Iterable[bytes]:
    raise ValueError("boom")


def _status(status: str) -> View:
    return lambda environ, start_response, _: _text(environ, start_response, "no", status)


def _context(environ: WSGIEnvironment, start_response: StartResponse, _: dict[str, str]) -> Iterable[bytes]:
    shop.note_all()
    return _text(environ, start_response, "context")


def _sync(environ: WSGIEnvironment, start_response: StartResponse, _: dict[str, str]) -> Iterable[bytes]:
    shop.notes()
    return _text(environ, start_response, "sync")


def _skipped(environ: WSGIEnvironment, start_response: StartResponse, _: dict[str, str]) -> Iterable[bytes]:
    skip()
    return _text(environ, start_response, "skip")


def _written(_environ: WSGIEnvironment, start_response: StartResponse, _: dict[str, str]) -> Iterable[bytes]:
    write = start_response("200 OK", [("Content-Type", "text/plain")])
    write(b"by write, ")
    return [b"then by return"]


def _lazy(_environ: WSGIEnvironment, start_response: StartResponse, _: dict[str, str]) -> Iterable[bytes]:
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", "4")])
    yield b"la"
    yield b"zy"


def _late() -> None:
    raise KeyError("too late")


def _again(_environ: WSGIEnvironment, start_response: StartResponse, _: dict[str, str]) -> Iterable[bytes]:
    start_response("200 OK", [("Content-Type", "text/plain")])
    try:
        _late()
    except KeyError:
        start_response("503 Service Unavailable", [("Content-Type", "text/html")], sys.exc_info())
    return [b"sorry"]


ROUTES: list[tuple[str, str, View]] = [
    ("/users/{user_id}", "GET HEAD", _user),
    ("/v1/users/{user_id}", "GET HEAD", _user),
    ("/shops/{shop_name}/items/{item}/{rest}", "GET", _several),
    ("/items/{item_id}", "PUT PATCH DELETE", _item),
    ("/text", "GET HEAD", _says(shop.TEXT)),
    ("/slash/", "GET", _says("slash")),
    ("/away", "GET", _away),
    ("/search", "GET", _search),
    ("/cached", "GET HEAD", _cached),
    ("/sync", "GET", _sync),
    ("/echo", "POST", _echo),
    ("/json", "POST", _parsed),
    ("/form", "POST", _count),
    ("/count", "POST", _count),
    ("/pieces", "POST", _pieces),
    ("/lines", "POST", _lines),
    ("/unread", "POST", _says("unread")),
    ("/mirror/{rest}", "GET POST PUT PATCH DELETE", _mirror),
    ("/stream", "GET", _chunks(lambda environ: shop.chunks(_headers(environ)))),
    ("/endless", "GET", _chunks(lambda environ: shop.endless_chunks(_headers(environ)), "application/octet-stream")),
    ("/broken", "GET", _chunks(lambda _: shop.broken_chunks())),
    ("/large", "GET", _large),
    ("/file", "GET", _file),
    ("/background", "GET", _background),
    ("/empty", "GET", _empty),
    ("/many", "GET", _many),
    ("/latin", "GET", _latin),
    ("/packed", "GET", _packed),
    ("/boom", "GET", _boom),
    ("/abort", "GET", _status("409 Conflict")),
    ("/teapot", "GET", _status("418 I'm a teapot")),
    ("/context", "GET", _context),
    ("/skip", "GET", _skipped),
    ("/excluded", "GET", _says("excluded")),
    ("/written", "GET", _written),
    ("/lazy", "GET", _lazy),
    ("/again", "GET", _again),
]
