"""Tollkeeper on a Flask app, and beside it what is best: the bare app, and a wrapper that does next to nothing."""

from __future__ import annotations

import functools
import importlib
import json
import sqlite3
import time
from collections import deque
from contextlib import closing
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from benchmarks.capture_app import Watched, make_app
from benchmarks.capture_chest import tollkeeper_chest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sized
    from pathlib import Path

    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

__all__ = ["OURS", "tollkeeper"]

FLUSH_SECONDS = 5.0


def bare(_folder: Path) -> Watched:
    return Watched(make_app())


def limit(_folder: Path) -> Watched:
    app = make_app()
    seen: deque[tuple[object, ...]] = deque()
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
    return Watched(app, lambda: len(seen))


class NullSink:
    """Counts the events that it takes, and forgets them."""

    def __init__(self) -> None:
        self.events = 0

    def send(self, events: Sized) -> None:
        self.events += len(events)

    def close(self) -> None:
        """Do nothing."""


def tollkeeper(
    level: str, sink: Any = None, *, config: Mapping[str, object] = MappingProxyType({})
) -> Callable[[Path], Watched]:
    """``sink`` is a Sink, a URL, or "sqlite", a file in the folder; None: one that forgets. ``config``: of the app."""

    def watch(folder: Path) -> Watched:
        door: Any = importlib.import_module("tollkeeper.flask").Tollkeeper
        app, null, file = make_app(), NullSink(), folder / f"usage-{len(config)}.db"
        app.config.update(config)
        keeper = door(app, sink=f"sqlite:///{file}" if sink == "sqlite" else sink or null, capture=level)

        def recorded() -> int:
            keeper.flush(FLUSH_SECONDS)
            if sink != "sqlite":
                return keeper.stats().sent if sink else null.events
            with closing(sqlite3.connect(file)) as connection:
                return int(connection.execute("SELECT COUNT(*) FROM usage_events").fetchone()[0])

        return Watched(app, recorded, lambda: keeper.flush(1.0))

    return watch


def tollkeeper_readme(_folder: Path) -> Watched:
    """Configured as the peer that it replaces; what it would send is answered inside the process, as that peer's."""
    library: Any = importlib.import_module("tollkeeper.compat.readme_metrics")
    answer = importlib.import_module("tollkeeper.sinks.connection").Answer(202)
    app = make_app()
    sent: list[bytes] = []
    config = library.MetricsApiConfig(
        "key-of-nobody",
        lambda request: {"api_key": request.headers["X-Api-Key"], "label": "Shop", "email": "shop@example.com"},
        base_log_url="https://docs.example.com",
        buffer_length=100,
    )
    metrics = library.ReadMeMetrics(config, app)

    def request(_method: str, body: bytes, _headers: object) -> Any:
        sent.append(body)
        return answer

    metrics._recorder._sink._connection.request = request  # noqa: SLF001 - the edge of the process

    def recorded() -> int:
        metrics.flush(FLUSH_SECONDS)
        return sum(len(json.loads(body)) for body in sent)

    return Watched(app, recorded, lambda: metrics.flush(1.0))


OURS: dict[str, Callable[[Path], Watched]] = {
    "bare": bare,
    "limit": limit,
    "metadata-null": tollkeeper("metadata"),
    "metadata-sqlite": tollkeeper("metadata", "sqlite"),
    "bodies-null": tollkeeper("bodies"),
    "bodies-sqlite": tollkeeper("bodies", "sqlite"),
    "readme-compat": tollkeeper_readme,
    "chest-sqlite": tollkeeper_chest,
    "chest-sqlite-full": functools.partial(tollkeeper_chest, synchronous="FULL"),
}
