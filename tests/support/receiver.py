"""An HTTP server on a real socket that keeps what it gets, and answers as it is told."""

from __future__ import annotations

import gzip
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable
    from email.message import Message

__all__ = ["Receiver", "Reply", "Taken"]

Reply = tuple[int, dict[str, str], bytes]


class Taken(NamedTuple):
    """A request as it came, its body unpacked."""

    method: str
    target: str
    headers: Message
    body: bytes


class Receiver:
    """``replies`` are given in turn (None hangs up), then what ``answer`` makes of the request."""

    def __init__(self, answer: Callable[[Taken], Reply] = lambda _: (200, {}, b"")) -> None:
        self.requests: list[Taken] = []
        self.replies: list[Reply | None] = []
        self.answer = answer
        self.connections = 0
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def setup(self) -> None:
                super().setup()
                receiver.connections += 1

            def do_POST(self) -> None:
                receiver._serve(self)

            def do_PUT(self) -> None:
                receiver._serve(self)

            def log_message(self, *_: object) -> None:
                pass

        self._handler = Handler
        self._server: ThreadingHTTPServer | None = None
        self._address = ("127.0.0.1", 0)
        self.start()
        self.url = f"http://127.0.0.1:{self._address[1]}"

    def start(self) -> None:
        """Listen, always at the same port."""
        self._server = _Server(self._address, self._handler)
        self._address = ("127.0.0.1", self._server.server_address[1])
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()

    def stop(self) -> None:
        """Refuse connections, and hang up on those that come on one that is open."""
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None

    def _serve(self, handler: BaseHTTPRequestHandler) -> None:
        body = handler.rfile.read(int(handler.headers["Content-Length"]))
        if handler.headers.get("Content-Encoding") == "gzip":
            body = gzip.decompress(body)
        taken = Taken(handler.command, handler.path, handler.headers, body)
        reply = None
        if self._server is not None:
            self.requests.append(taken)
            reply = self.replies.pop(0) if self.replies else self.answer(taken)
        if reply is None:
            handler.close_connection = True
            return
        status, headers, answer = reply
        handler.send_response(status)
        for name, value in ({"Content-Length": str(len(answer))} | headers).items():
            handler.send_header(name, value)
        handler.end_headers()
        handler.wfile.write(answer)


class _Server(ThreadingHTTPServer):
    allow_reuse_address = True
    daemon_threads = True
    block_on_close = False
