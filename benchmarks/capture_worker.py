"""Measure one way of watching a Flask app against the bare app, in one process.

``python capture_worker.py VARIANT REQUESTS PAIRS`` runs PAIRS times a block of bare requests and then one of watched
ones, and prints one line of JSON: by how much p50 grows, as the median over the pairs (a shared machine drifts from
second to second), and the 99th percentiles. It runs in the peers' environments: nothing but Flask and the
peer is installed there.
"""

from __future__ import annotations

import importlib
import io
import json
import logging
import statistics
import sys
import tempfile
import time
from collections import deque
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flask import Flask, jsonify, request

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment
    from flask import Response

__all__ = ["VARIANTS", "main"]

BLOCK_SECONDS = 1.0
SETTLE_SECONDS = 20.0
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
    """A watched app. ``settle`` says that its threads are idle; ``lost`` counts what it dropped."""

    def __init__(
        self, app: Flask, settled: Callable[[], object] = lambda: True, lost: Callable[[], int] = lambda: 0
    ) -> None:
        self.app = app
        self.settled = settled
        self.lost = lost


def make_app() -> Flask:
    app = Flask("shop")

    @app.post("/v1/orders/<int:number>")
    def post_order(number: int) -> Response:
        return jsonify(ANSWER | {"number": number, "count": len(request.get_json()["lines"])})

    return app


def bare(_folder: Path) -> Watched:
    return Watched(make_app())


def limit(_folder: Path) -> Watched:
    app = make_app()
    seen: deque[tuple[object, ...]] = deque(maxlen=10_000)
    inner: WSGIApplication = app.wsgi_app

    def outer(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        started = time.perf_counter()
        status = ""

        def start(line: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Callable[[bytes], object]:
            nonlocal status
            status = line
            return start_response(line, headers, exc_info)

        result = inner(environ, start)
        elapsed = time.perf_counter() - started
        seen.append((environ["REQUEST_METHOD"], environ["PATH_INFO"], environ.get("HTTP_X_API_KEY"), status, elapsed))
        return result

    app.wsgi_app = outer  # type: ignore[method-assign]  # how Flask takes a middleware
    return Watched(app)


def tollkeeper(level: str, sink: str) -> Callable[[Path], Watched]:
    def watch(folder: Path) -> Watched:
        door: Any = importlib.import_module("tollkeeper.flask").Tollkeeper
        app = make_app()
        keeper = door(app, sink=f"sqlite:///{folder}/usage.db" if sink == "sqlite" else NullSink(), capture=level)
        return Watched(app, lambda: keeper.flush(1.0), lambda: sum(keeper.stats().dropped.values()))

    return watch


class NullSink:
    """Takes batches and forgets them."""

    def send(self, events: object) -> None:
        """Forget a batch."""

    def close(self) -> None:
        """Do nothing."""


def prometheus(_folder: Path) -> Watched:
    app = make_app()
    importlib.import_module("prometheus_flask_exporter").PrometheusMetrics(app)
    return Watched(app)


def moesif(_folder: Path) -> Watched:
    """Post to nowhere: each HTTP request gets its answer at the edge of the process, at no cost."""
    requests: Any = importlib.import_module("requests")
    middleware: Any = importlib.import_module("moesifwsgi").MoesifMiddleware

    def send(_adapter: object, prepared: Any, **_: object) -> Any:
        answer = requests.Response()
        answer.status_code, answer.raw = 201, io.BytesIO(b"{}")
        answer.request, answer.url = prepared, prepared.url
        return answer

    requests.adapters.HTTPAdapter.send = send
    app = make_app()
    watcher = middleware(app.wsgi_app, {"APPLICATION_ID": "none", "LOG_BODY": True})
    logging.disable()  # it sets the level of the whole process to INFO
    app.wsgi_app = watcher  # type: ignore[method-assign]  # how Flask takes a middleware
    pool = watcher.worker_pool
    return Watched(
        app,
        lambda: pool.event_queue.empty() and not pool.batch_queue.unfinished_tasks,
        lambda: int(watcher.dropped_events),
    )


def monitoring_dashboard(folder: Path) -> Watched:
    dashboard: Any = importlib.import_module("flask_monitoringdashboard")
    dashboard.config.database_name = f"sqlite:///{folder}/dashboard.db"
    dashboard.config.monitor_level = 1
    app = make_app()
    dashboard.bind(app)
    return Watched(app)


VARIANTS: dict[str, Callable[[Path], Watched]] = {
    "bare": bare,
    "limit": limit,
    "metadata-null": tollkeeper("metadata", "null"),
    "metadata-sqlite": tollkeeper("metadata", "sqlite"),
    "bodies-null": tollkeeper("bodies", "null"),
    "bodies-sqlite": tollkeeper("bodies", "sqlite"),
    "prometheus": prometheus,
    "moesif": moesif,
    "monitoring_dashboard": monitoring_dashboard,
}


def call(app: Flask) -> int:
    """Nanoseconds from the call of the app to the close of its answer."""
    environ = ENVIRON | {"wsgi.input": io.BytesIO(BODY)}
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


def block(app: Flask, requests: int) -> list[int]:
    """Time requests one after the other, fewer when they take too long."""
    until = time.monotonic() + BLOCK_SECONDS
    taken: list[int] = []
    while len(taken) < requests and time.monotonic() < until:
        taken.append(call(app))
    return taken


def settle(watched: Watched) -> None:
    """Let the threads of a variant finish, so that the bare block that follows has the process to itself."""
    until = time.monotonic() + SETTLE_SECONDS
    while not watched.settled() and time.monotonic() < until:
        time.sleep(0.01)


def percentile(values: list[int], share: float) -> float:
    """In microseconds."""
    return sorted(values)[int(share * (len(values) - 1))] / 1000


def main(variant: str, requests: int, pairs: int) -> None:
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:  # a peer may still be writing
        plain, watched = make_app(), VARIANTS[variant](Path(folder))
        for app in (plain, watched.app):
            block(app, requests // 10 + 1)
        settle(watched)
        without: list[int] = []
        with_it: list[int] = []
        added: list[float] = []
        for _ in range(pairs):
            plainly, watchfully = block(plain, requests), block(watched.app, requests)
            settle(watched)
            added.append(percentile(watchfully, 0.5) - percentile(plainly, 0.5))
            without += plainly
            with_it += watchfully
        figures = {
            "added": statistics.median(added),
            "bare_p50": percentile(without, 0.50),
            "bare_p99": percentile(without, 0.99),
            "p99": percentile(with_it, 0.99),
            "lost": watched.lost(),
        }
    sys.stdout.write(json.dumps(figures) + "\n")


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
