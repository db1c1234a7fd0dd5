"""Measure what being watched adds to a request in a server that is called over a socket, as requests come.

Between two requests a server reads, parses and writes, and its caches fill with that: an app costs more in it than in a
loop. The server is Werkzeug's, in a thread of this process; what is timed in it is the app, from its call to the close
of its answer. The client is a process of its own, ``python -m benchmarks.capture_served PORT REQUESTS PAIRS``, which
keeps its connection and makes PAIRS times as many REQUESTS of either kind, in short blocks by turns: what a process on
another core does to this one changes from second to second, by more than is measured. It runs in the peers'
environments: nothing but Flask and the peer is installed there.
"""

from __future__ import annotations

import http.client
import logging
import socket
import statistics
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from werkzeug.serving import WSGIRequestHandler, make_server

from benchmarks.capture_app import BODY, ENVIRON

if TYPE_CHECKING:
    from collections.abc import Callable

    from flask import Flask

__all__ = ["main", "measure_served"]

ROOT = Path(__file__).parents[1]
TIMEOUT_SECONDS = 120
BLOCK_REQUESTS, SECONDS = 20, 1.0
WATCHED, ENDED, SETTLED = "X-Watched", "/ended", "/settled"
HEADERS = {
    "Content-Type": "application/json",
    **{name[5:].replace("_", "-"): str(ENVIRON[name]) for name in ENVIRON if name.startswith("HTTP_")},
}


class KeptAlive(WSGIRequestHandler):
    """Keeps connections, and sends what it has without waiting for more."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True


class Timed:
    """Answers by the bare app or the watched one, as a header says, and times it; ``p50`` has the blocks of each.

    ``settle`` waits until the threads of a variant have caught up.
    """

    def __init__(self, plain: Flask, watched: Flask, settle: Callable[[], None]) -> None:
        self._apps = (plain, watched)
        self._settle = settle
        self._block: list[int] = []
        self.watched_requests = 0
        self.p50: tuple[list[float], list[float]] = ([], [])

    def __call__(self, environ: dict[str, Any], start_response: Any) -> list[bytes]:
        watched = "HTTP_X_WATCHED" in environ
        if environ["PATH_INFO"] == ENDED:
            self.p50[watched].append(statistics.median(self._block) / 1000)
            self._block = []
        if environ["PATH_INFO"] == SETTLED:
            self._settle()
        if environ["PATH_INFO"] in {ENDED, SETTLED}:
            start_response("200 OK", [("Content-Length", "0")])
            return []
        started = time.perf_counter_ns()
        result = self._apps[watched](environ, start_response)
        answer = list(result)
        close = getattr(result, "close", None)
        if close is not None:
            close()
        self._block.append(time.perf_counter_ns() - started)
        self.watched_requests += watched
        return answer


def measure_served(
    plain: Flask, watched: Flask, settle: Callable[[], None], requests: int, pairs: int
) -> dict[str, float]:
    """Serve both in turns; times in microseconds.

    ``served`` is what p50 grows by, the median over the pairs of blocks; ``served_bare`` is the p50 of the bare app;
    ``requests`` says how many were watched.
    """
    timed = Timed(plain, watched, settle)
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = make_server("127.0.0.1", 0, timed, request_handler=KeptAlive)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        command = [sys.executable, "-m", "benchmarks.capture_served", str(server.port), str(requests), str(pairs)]
        subprocess.run(command, cwd=ROOT, timeout=TIMEOUT_SECONDS, check=True)
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
    bare, both = timed.p50
    return {
        "served": statistics.median(more - less for less, more in zip(bare, both, strict=True)),
        "served_bare": statistics.median(bare),
        "requests": timed.watched_requests,
    }


def main(port: int, requests: int, pairs: int) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=TIMEOUT_SECONDS)
    connection.connect()
    connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    for _ in range(pairs):
        until = time.monotonic() + SECONDS
        for _ in range(max(1, requests // BLOCK_REQUESTS)):
            for headers in (HEADERS, HEADERS | {WATCHED: "yes"}):
                for _ in range(BLOCK_REQUESTS):
                    ask(connection, "/v1/orders/4711?expand=lines", headers)
                ask(connection, ENDED, headers)
            if time.monotonic() > until:
                break
        ask(connection, SETTLED, headers)


def ask(connection: http.client.HTTPConnection, target: str, headers: dict[str, str]) -> None:
    connection.request("POST", target, BODY, headers)
    response = connection.getresponse()
    response.read()
    if response.status != http.HTTPStatus.OK:
        raise RuntimeError(f"The app answered {response.status}: the variant breaks it.")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
