"""An app behind a door of either kind, and all that its own functions may do to us."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any, NoReturn

import flask

from tollkeeper.flask import Tollkeeper as FlaskDoor
from tollkeeper.sinks.memory import MemorySink
from tollkeeper.wsgi import Tollkeeper as WSGIDoor

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

    from tollkeeper.door import Door

__all__ = ["MISCHIEF", "Out", "Unspeakable", "ask", "bare", "recorded", "watched"]

Answer = tuple[str, bytes, str]


class Out(BaseException):
    """Like gevent.Timeout, or an order to end: not an Exception, and not for us."""


class Unspeakable:
    """Cannot be shown, compared, counted or tested."""

    def _no(self, *_: Any) -> NoReturn:
        raise RuntimeError("unspeakable")

    __str__ = __repr__ = __bool__ = __len__ = __iter__ = __getattr__ = _no
    __hash__ = __eq__ = _no


def _raise(*_: Any) -> NoReturn:
    raise ValueError("mischief")


def _recurse(*arguments: Any) -> Any:
    return _recurse(*arguments)


MISCHIEF: dict[str, Callable[..., Any]] = {
    "raises": _raise,
    "recurses": _recurse,
    "is unspeakable": lambda *_: Unspeakable(),
}


def _plain(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    if environ["PATH_INFO"] == "/boom":
        raise ValueError("boom")
    start_response("200 OK", [("Content-Type", "application/json")])
    return [b'{"hello": ', b'"world"}']


def _flask() -> flask.Flask:
    app = flask.Flask("mischief")

    @app.route("/boom", methods=["POST"])
    def boom() -> NoReturn:
        raise ValueError("boom")

    @app.route("/", methods=["POST"])
    def hello() -> dict[str, str]:
        return {"hello": "world"}

    return app


def bare(kind: str) -> Any:
    """The app alone: a Flask app, or a plain one of WSGI."""
    return _flask() if kind == "flask" else _plain


def watched(kind: str, app: Any = None, **options: Any) -> tuple[WSGIApplication, Door]:
    """An app, else the bare one, behind a door that keeps its events in memory; and the door."""
    options = {"sink": MemorySink()} | options
    app = app or bare(kind)
    if kind == "flask":
        return app, FlaskDoor(app, **options)
    door = WSGIDoor(app, **options)
    return door, door


def ask(app: WSGIApplication, path: str = "/") -> Answer:
    """Ask as a server does: what was said, what came, and what was raised."""
    said: list[str] = []
    body = b'{"password": "x", "deep": {"a": 1}}'
    environ: dict[str, Any] = {"REQUEST_METHOD": "POST", "PATH_INFO": path, "QUERY_STRING": "a=1&token=2"}
    environ |= {"SERVER_NAME": "localhost", "SERVER_PORT": "80", "wsgi.url_scheme": "http"}
    environ |= {"wsgi.input": io.BytesIO(body), "wsgi.errors": io.StringIO()}
    environ |= {"CONTENT_TYPE": "application/json", "CONTENT_LENGTH": str(len(body))}
    received, raised = b"", ""

    def start(status: str, headers: list[tuple[str, str]], _: Any = None) -> Any:
        said.append(f"{status} {headers}")

    try:
        result = app(environ, start)
        try:
            for chunk in result:
                received += chunk
        finally:
            if hasattr(result, "close"):
                result.close()
    except BaseException as error:  # noqa: BLE001 - to be compared with what it would be without us
        raised = f"{type(error).__name__} {error.args}"
    return "".join(said), received, raised


def recorded(door: Door) -> list[Any]:
    """The events of a door that was closed; nothing was lost, and the books are in order."""
    assert door.close(20)
    stats = door.stats()
    assert stats.queued == 0
    assert stats.captured == stats.sent + stats.spooled + stats.excluded + sum(stats.dropped.values())
    return list(getattr(door.sink, "events", []))
