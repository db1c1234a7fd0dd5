"""A client without a socket: it calls the app as a server would, and keeps what the app says to its server."""

from __future__ import annotations

import asyncio
import gc
import io
import sys
import time
from collections.abc import Sized
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, unquote_to_bytes, urlsplit
from wsgiref.util import FileWrapper

from conformance.capture.case import HOST
from conformance.capture.keys import PAUSE, Keys
from conformance.capture.talk import Talk
from conformance.capture.wire import CLOCKS, Answer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from _typeshed.wsgi import WSGIApplication

    from conformance.capture.case import Case, Request

    ASGIApp = Callable[..., Any]

__all__ = ["call_asgi", "call_wsgi"]

MIDDLE = 1000  # bytes of an answer that never ends


def _parts(request: Request) -> tuple[str, str]:
    target = urlsplit(request.target) if request.target.startswith("http") else None
    if target:
        return target.path, target.query
    path, _, query = request.target.partition("?")
    return path, query


def _environ(request: Request, case: Case, gate: int | None) -> dict[str, Any]:
    path, query = _parts(request)
    environ: dict[str, Any] = {
        "REQUEST_METHOD": request.method,
        "SCRIPT_NAME": "",
        "PATH_INFO": unquote_to_bytes(path).decode("latin-1"),
        "QUERY_STRING": query,
        "SERVER_NAME": HOST,
        "SERVER_PORT": "80",
        "SERVER_PROTOCOL": f"HTTP/{request.version}",
        "REMOTE_ADDR": "127.0.0.1",
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http",
        "wsgi.input": io.BytesIO(request.content()),
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": False,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
        "wsgi.input_terminated": True,
        "wsgi.file_wrapper": FileWrapper,
    }
    for name, value in request.all_headers(case.agent, gate, last=False):
        key = name.upper().replace("-", "_")
        key = key if key in {"CONTENT_TYPE", "CONTENT_LENGTH"} else f"HTTP_{key}"
        environ[key] = f"{environ[key]},{value}" if key in environ else value
    return environ


class _Said:
    """What an app said to its server in answer to one request."""

    def __init__(self) -> None:
        self.messages: list[Any] = []
        self.status: int | None = None
        self.headers: list[tuple[str, str]] = []
        self.body = b""
        self.error = ""

    def answer(self, method: str) -> Answer | None:
        """What a client would have got of it."""
        if self.status is None:
            return None
        headers = [(name.lower(), value) for name, value in self.headers]
        return Answer(self.status, headers, b"" if method == "HEAD" else self.body, complete=not self.error)

    def transcript(self) -> Any:
        """What must be equal, without the headers that tell the time."""
        headers = [header for header in self.headers if header[0].lower() not in CLOCKS]
        return self.status, headers, self.messages, self.error


def call_wsgi(app: WSGIApplication, case: Case) -> Talk:
    """Run a case through a WSGI application."""
    with Keys() as keys:
        began = time.perf_counter()
        talk = Talk(transcript=[], answers=[])
        for request in case.requests:
            said = _call_wsgi(app, case, request, keys, talk)
            talk.transcript.append(said.transcript())
            talk.answers.append(said.answer(request.method))
        talk.at_most = (keys.opened if case.way == "background" else time.perf_counter()) - began
        if case.way in {"gated", "gone", "background"}:
            talk.told = keys.heard()
        return talk


def _call_wsgi(app: WSGIApplication, case: Case, request: Request, keys: Keys, talk: Talk) -> _Said:
    said = _Said()

    def start_response(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Callable[[bytes], None]:
        said.messages.append(("again", said.status) if exc_info else "start")
        said.status, said.headers = int(status[:3]), list(headers)
        return write

    def write(chunk: bytes) -> None:
        said.messages.append(chunk)
        said.body += chunk

    uses_gate = case.way in {"gated", "gone", "background", "slow"}
    result: Iterable[bytes] = ()
    try:
        result = app(_environ(request, case, keys.port if uses_gate else None), start_response)
        said.messages.append(("length", len(result)) if isinstance(result, Sized) else "iterable")
        for chunk in result:
            write(chunk)
            if case.way == "gone" and len(said.body) > MIDDLE:
                break
            if case.way == "gated" and said.body.count(b"\n") < 3:
                keys.open()
                talk.at_least += PAUSE
        if case.way == "background":
            keys.open_when_it_waits()
    except Exception as error:  # noqa: BLE001 - what the server gets is compared as well
        said.error = repr(error)
    finally:
        close = getattr(result, "close", None)
        if close is not None:
            close()
    return said


class _Server:
    """The server's side of ASGI for one request."""

    def __init__(self, case: Case, request: Request, keys: Keys, talk: Talk) -> None:
        self.case, self.request, self.keys, self.talk = case, request, keys, talk
        self.said = _Said()
        self.ended = asyncio.Event()
        self.gone = False
        self._messages = self._incoming()

    def scope(self, state: dict[str, Any]) -> dict[str, Any]:
        path, query = _parts(self.request)
        gate = self.keys.port if self.case.way in {"gated", "gone", "background", "slow"} else None
        headers = [
            (name.lower().encode(), value.encode("latin-1"))
            for name, value in self.request.all_headers(self.case.agent, gate, last=False)
        ]
        scope: dict[str, Any] = {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": self.request.version,
            "method": self.request.method,
            "scheme": "http",
            "path": unquote(path, errors="replace"),
            "raw_path": path.encode("latin-1"),
            "query_string": query.encode("latin-1"),
            "root_path": "",
            "headers": headers,
            "client": ("127.0.0.1", 50000),
            "server": (HOST, 80),
            "state": dict(state),
            "extensions": {"http.response.pathsend": {}},
        }
        if self.case.way == "websocket":
            scope |= {"type": "websocket", "scheme": "ws", "subprotocols": [], "extensions": {}}
            del scope["method"]
        return scope

    def _incoming(self) -> list[dict[str, Any]]:
        if self.case.way == "websocket":
            return [
                {"type": "websocket.connect"},
                {"type": "websocket.receive", "text": "hi"},
                {"type": "websocket.disconnect", "code": 1000, "reason": ""},
            ]
        body = self.request.body or b""
        chunks = list(body) if isinstance(body, tuple) else [body]
        if self.case.way == "slow":
            chunks = [chunks[0][:1000], chunks[0][1000:]]
        last = None if self.request.promised else len(chunks) - 1
        return [
            {"type": "http.request", "body": chunk, "more_body": number != last} for number, chunk in enumerate(chunks)
        ]

    async def receive(self) -> dict[str, Any]:
        if self._messages:
            if self.case.way == "slow" and len(self._messages) == 1:
                await asyncio.sleep(PAUSE)
                self.talk.at_least = PAUSE
            return self._messages.pop(0)
        if not self.request.promised:
            await self.ended.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: dict[str, Any]) -> None:
        said = self.said
        self._keep(message)
        await asyncio.sleep(0)
        way = self.case.way
        is_last = message["type"] == "http.response.body" and not message.get("more_body")
        if way == "gone" and len(said.body) > MIDDLE:
            self.gone = True
        if self.gone or is_last:
            self.ended.set()
        if way == "gated" and message.get("body") and said.body.count(b"\n") < 3:
            self.keys.open()
            self.talk.at_least += PAUSE
        if way == "background" and is_last:
            self.keys.open_when_it_waits()

    def _keep(self, message: dict[str, Any]) -> None:
        said = self.said
        if self.gone:
            return
        if message["type"] == "http.response.start":
            pairs = [(bytes(name), bytes(value)) for name, value in message["headers"]]
            said.status = message["status"]
            said.headers = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in pairs]
            message = {**message, "headers": [pair for pair in pairs if pair[0].lower().decode() not in CLOCKS]}
        elif message["type"] == "http.response.body":
            said.body += message.get("body", b"")
        elif message["type"] == "http.response.pathsend":
            with open(message["path"], "rb") as file:  # noqa: PTH123 - a test may block its own loop
                said.body += file.read()
        said.messages.append(dict(message))


async def call_asgi(app: ASGIApp, case: Case, state: dict[str, Any]) -> Talk:
    """Run a case through an ASGI application whose lifespan left ``state``."""
    with Keys() as keys:
        began = time.perf_counter()
        talk = Talk(transcript=[], answers=[])
        for request in case.requests:
            server = _Server(case, request, keys, talk)
            try:
                await app(server.scope(state), server.receive, server.send)
            except Exception as error:  # noqa: BLE001 - what the server gets is compared as well
                server.said.error = repr(error)
            server.ended.set()
            talk.transcript.append(server.said.transcript())
            gone = server.request.promised is not None
            talk.answers.append(None if gone else server.said.answer(request.method))
            if case.way == "gone" or server.said.error:
                gc.collect()  # which closes what the app forgot, here and not in another test
        if case.way in {"gated", "gone", "background"}:
            talk.told = await asyncio.to_thread(keys.heard)
        talk.at_most = (keys.opened if case.way == "background" else time.perf_counter()) - began
        return talk
