"""The Flask app whose requests are measured, bare or watched by somebody."""

from __future__ import annotations

import io
import json
import sys
import time
from typing import TYPE_CHECKING, Any

from flask import Flask, jsonify, request

if TYPE_CHECKING:
    from collections.abc import Callable

    from flask import Response

    View = Callable[..., Response]

__all__ = ["Watched", "call", "make_app"]

BODY = json.dumps({"lines": [{"sku": f"sku-{n}", "count": n} for n in range(8)], "card": "4242"}).encode()
ANSWER = {"state": "paid", "lines": [{"sku": f"sku-{n}", "name": "Nails, 100 pieces", "cents": n} for n in range(18)]}
ENVIRON = {
    "REQUEST_METHOD": "POST",
    "SCRIPT_NAME": "",
    "PATH_INFO": "/v1/orders/4711",
    "QUERY_STRING": "expand=lines",
    "SERVER_NAME": "127.0.0.1",
    "SERVER_PORT": "8000",
    "SERVER_PROTOCOL": "HTTP/1.1",
    "REMOTE_ADDR": "192.0.2.7",
    "CONTENT_TYPE": "application/json",
    "CONTENT_LENGTH": str(len(BODY)),
    "HTTP_HOST": "api.example.com",
    "HTTP_USER_AGENT": "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0",
    "HTTP_ACCEPT": "application/json",
    "HTTP_ACCEPT_ENCODING": "gzip, deflate, br",
    "HTTP_X_API_KEY": "key-of-a-customer",
    "HTTP_X_REQUEST_ID": "0193b3f0-0000-7000-8000-000000000000",
    "wsgi.version": (1, 0),
    "wsgi.url_scheme": "http",
    "wsgi.errors": sys.stderr,
    "wsgi.multithread": True,
    "wsgi.multiprocess": False,
    "wsgi.run_once": False,
}


class Watched:
    """An app and whoever watches it.

    ``settled`` says whether its threads have caught up, and may make them. ``recorded`` is asked once, at the end: it
    may shut the watcher down, and counts the requests that reached the edge of the process; None where nobody watches.
    """

    def __init__(
        self,
        app: Flask,
        recorded: Callable[[], int | None] = lambda: None,
        settled: Callable[[], object] = lambda: True,
    ) -> None:
        self.app = app
        self.recorded = recorded
        self.settled = settled


def make_app(decorate: Callable[[View], View] = lambda view: view) -> Flask:
    """The app, its view decorated."""
    app = Flask("shop")

    @app.post("/v1/orders/<int:number>")
    @decorate
    def post_order(number: int) -> Response:
        return jsonify(ANSWER | {"number": number, "count": len(request.get_json()["lines"])})

    return app


def call(app: Flask, changes: dict[str, Any] | None = None) -> int:
    """Nanoseconds from the call of the app to the close of its answer; ``changes`` go into the environ."""
    environ = ENVIRON | {"wsgi.input": io.BytesIO(BODY)} | (changes or {})
    statuses = []

    def start_response(status: str, _headers: object, _exc_info: object = None) -> Callable[[bytes], object]:
        statuses.append(status)
        return lambda _: None

    started = time.perf_counter_ns()
    result = app(environ, start_response)
    size = sum(map(len, result))
    close = getattr(result, "close", None)
    if close is not None:
        close()
    elapsed = time.perf_counter_ns() - started
    if statuses != ["200 OK"] or size < 1000:
        raise RuntimeError(f"The app answered {statuses} with {size} bytes: the variant breaks it.")
    return elapsed
