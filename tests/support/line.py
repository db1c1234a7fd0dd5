"""The line between an app and its collector, on real sockets, and all that can go wrong on it."""

from __future__ import annotations

import http.client
import threading
import time
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Call", "Line"]


class Call:
    """One request on the line: ``forward()`` lets the service have it, ``send()`` writes bytes to the app."""

    def __init__(self, handler: BaseHTTPRequestHandler, body: bytes, service: tuple[str, int] | None) -> None:
        self.headers = dict(handler.headers)
        self._handler = handler
        self.body = body
        self._service = service

    def forward(self) -> bytes:
        """Give the request to the service, and return its whole answer as bytes."""
        if self._service is None:
            return b"HTTP/1.1 500 Nobody\r\nContent-Length: 0\r\n\r\n"
        connection = http.client.HTTPConnection(*self._service, timeout=10)
        try:
            connection.request("POST", self._handler.path, self.body, self.headers)
            response = connection.getresponse()
            body = response.read()
        except OSError:  # the service is not there: neither is the line
            self.cut()
            return b""
        finally:
            connection.close()
        head = f"HTTP/1.1 {response.status} {response.reason}\r\nContent-Length: {len(body)}\r\n\r\n"
        return head.encode() + body

    def send(self, data: bytes) -> None:
        """Write to the app, which may have hung up."""
        with suppress(OSError):
            self._handler.wfile.write(data)

    def answer(self, status: int, headers: dict[str, str] | None = None, body: bytes = b"") -> None:
        """Answer in place of the service."""
        lines = [f"HTTP/1.1 {status} Fault", f"Content-Length: {len(body)}"]
        lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
        self.send("\r\n".join([*lines, "", ""]).encode() + body)

    def cut(self) -> None:
        """Close the connection."""
        self._handler.close_connection = True


class Line:
    """Passes requests to ``service`` (host, port), or to nobody; ``faults`` befall the next ones in turn.

    ``times`` are when requests came, in seconds of ``time.monotonic``; ``rule`` may take a request when no fault does.
    """

    def __init__(self, service: tuple[str, int] | None = None) -> None:
        self.faults: list[Callable[[Call], None]] = []
        self.rule: Callable[[Call], bool] | None = None
        self.times: list[float] = []
        self._service = service
        self._address: tuple[str, int] = ("127.0.0.1", 0)
        self._server: ThreadingHTTPServer | None = None
        self.up()
        self.url = f"http://127.0.0.1:{self._address[1]}"

    def up(self) -> None:
        """Listen, always at the same port."""
        line = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                line._serve(self)

            def log_message(self, *_: Any) -> None:
                pass

        self._server = _Server(self._address, Handler)
        self._address = ("127.0.0.1", self._server.server_address[1])
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()

    def down(self) -> None:
        """Refuse connections from now on."""
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None

    def _serve(self, handler: BaseHTTPRequestHandler) -> None:
        body = handler.rfile.read(int(handler.headers["Content-Length"]))
        self.times.append(time.monotonic())
        call = Call(handler, body, self._service)
        if self._server is None:
            call.cut()
        elif self.faults:
            self.faults.pop(0)(call)
        elif self.rule is None or not self.rule(call):
            call.send(call.forward())


class _Server(ThreadingHTTPServer):
    allow_reuse_address = True
    daemon_threads = True
    block_on_close = False
