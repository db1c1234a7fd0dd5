"""ReadMe Metrics on a real socket: keeps the logs that it acknowledges, and refuses, hangs or dies when told to."""

from __future__ import annotations

import json
import threading
import time
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple

__all__ = ["Post", "ReadMe"]


class Post(NamedTuple):
    """A request as it came in, and the status that it was answered with; 0 for none."""

    path: str
    headers: dict[str, str]
    logs: list[dict[str, Any]]
    status: int


class ReadMe:
    """``statuses`` are answered in turn, then 202; 0 hangs up without an answer, a negative one hangs for its seconds.

    ``taken`` counts how often each log was acknowledged, by its id. It may be stopped and started again on its port.
    """

    def __init__(self) -> None:
        self.posts: list[Post] = []
        self.statuses: list[float] = []
        self.headers: dict[str, str] = {}
        self.taken: Counter[str] = Counter()
        self.largest = 10**9
        self._port = 0
        self._lock = threading.Lock()
        self._changed = threading.Condition(self._lock)
        self._server: ThreadingHTTPServer | None = None
        self.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    @property
    def logs(self) -> list[dict[str, Any]]:
        """What was acknowledged so far."""
        with self._lock:
            return [log for post in self.posts if post.status == 202 for log in post.logs]

    @property
    def batches(self) -> list[int]:
        """How many logs each acknowledged request had."""
        with self._lock:
            return [len(post.logs) for post in self.posts if post.status == 202]

    def start(self) -> None:
        """Listen, on the port of before if there was one."""
        service = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            timeout = 5

            def do_GET(self) -> None:
                raise AssertionError("nobody is to look anything up")

            def do_POST(self) -> None:
                service._answer(self)

            def log_message(self, *_: object) -> None:
                pass

        class Server(ThreadingHTTPServer):
            daemon_threads = True
            allow_reuse_address = True

            def handle_error(self, *_: object) -> None:
                """A client may give up."""

        self._server = Server(("127.0.0.1", self._port), Handler)
        self._port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()

    def stop(self) -> None:
        """Listen no more, and hang up on whoever is connected at its next word."""
        server, self._server = self._server, None
        if server is not None:
            server.shutdown()
            server.server_close()

    def wait(self, count: int, seconds: float = 5) -> list[dict[str, Any]]:
        """The logs, once as many as ``count`` were acknowledged."""
        self._wait_for(lambda: sum(len(post.logs) for post in self.posts if post.status == 202) >= count, seconds)
        return self.logs

    def wait_posts(self, count: int, seconds: float = 5) -> list[Post]:
        """The requests, once there were as many as ``count``."""
        self._wait_for(lambda: len(self.posts) >= count, seconds)
        return self.posts

    def _wait_for(self, condition: Any, seconds: float) -> None:
        with self._changed:
            assert self._changed.wait_for(condition, seconds), [(post.status, len(post.logs)) for post in self.posts]

    def _answer(self, handler: BaseHTTPRequestHandler) -> None:
        logs = json.loads(handler.rfile.read(int(handler.headers["Content-Length"])))
        with self._lock:
            gone = self._server is None
            status = 0 if gone else self.statuses.pop(0) if self.statuses else 413 if len(logs) > self.largest else 202
            self.posts.append(Post(handler.path, dict(handler.headers), logs, int(max(0, status))))
            if status == 202:
                self.taken.update(log["_id"] for log in logs)
            self._changed.notify_all()
        handler.close_connection = gone or status <= 0
        if status < 0:
            time.sleep(-status)
        if status <= 0:
            return
        handler.send_response(int(status))
        for name, value in (self.headers | {"Content-Length": "0"}).items():
            handler.send_header(name, value)
        handler.end_headers()
