"""What an ingest service could do at best: raw ASGI on uvicorn, one durable commit for many requests, nothing else.

``python -m benchmarks.limits sqlite|log FILE`` serves ``POST /v1/events`` on a free port, which it prints.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import sqlite3
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import uvicorn
from msgspec import Raw, Struct

if TYPE_CHECKING:
    from collections.abc import Callable

    Write = Callable[[list[bytes]], None]

__all__ = ["decode", "main", "row", "serve", "serve_app"]

HEADERS = [(b"content-type", b"application/json"), (b"content-length", b"2")]


class _Consumer(Struct, frozen=True):
    key: str


class _Request(Struct, frozen=True):
    elapsed_time: float


class _Response(Struct, frozen=True):
    content_length: int


class _Event(Struct, frozen=True):
    id: str
    time: str
    method: str
    path: str
    route: str
    status_code: int
    consumer: _Consumer
    request: _Request
    response: _Response
    client: Raw


decode = msgspec.json.Decoder(list[_Event]).decode


def sqlite_writer(path: Path) -> Write:
    """Decode, and insert all rows of a group in one transaction; no second index, no roll-up, no check of ids."""
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute(
        "CREATE TABLE event (id TEXT, time TEXT, method TEXT, path TEXT, route TEXT, status INTEGER, consumer TEXT,"
        " elapsed REAL, bytes INTEGER, client BLOB)"
    )

    def write(bodies: list[bytes]) -> None:
        connection.execute("BEGIN")
        for body in bodies:
            connection.executemany(
                "INSERT INTO event VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", [row(event) for event in decode(body)]
            )
        connection.execute("COMMIT")

    return write


def row(event: _Event) -> tuple[Any, ...]:
    return (
        event.id,
        event.time,
        event.method,
        event.path,
        event.route,
        event.status_code,
        event.consumer.key,
        event.request.elapsed_time,
        event.response.content_length,
        bytes(event.client),
    )


def log_writer(path: Path) -> Write:
    """Append the bodies of a group to a file, and wait for the disk once."""
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

    def write(bodies: list[bytes]) -> None:
        os.write(file, b"\n".join(bodies) + b"\n")
        os.fdatasync(file)

    return write


class GroupCommit:
    """Writes what arrived during one commit with the next."""

    def __init__(self, write: Write) -> None:
        self._write = write
        self._thread = ThreadPoolExecutor(1)
        self._waiting: list[tuple[bytes, asyncio.Future[None]]] = []
        self._busy = False

    async def submit(self, body: bytes) -> None:
        loop = asyncio.get_running_loop()
        future: asyncio.Future[None] = loop.create_future()
        self._waiting.append((body, future))
        if not self._busy:
            self._busy = True
            loop.run_in_executor(self._thread, self._write, self._take()).add_done_callback(self._next)
        await future

    def _take(self) -> list[bytes]:
        self._group, self._waiting = self._waiting, []
        return [body for body, _ in self._group]

    def _next(self, done: asyncio.Future[None]) -> None:
        done.result()
        group = self._group
        self._busy = bool(self._waiting)
        if self._busy:
            loop = asyncio.get_running_loop()
            loop.run_in_executor(self._thread, self._write, self._take()).add_done_callback(self._next)
        for _, future in group:
            if not future.done():
                future.set_result(None)


def make_app(commits: GroupCommit) -> Callable[[dict[str, Any], Any, Any], Any]:
    async def app(_scope: dict[str, Any], receive: Any, send: Any) -> None:
        chunks, more = [], True
        while more:
            message = await receive()
            chunks.append(message.get("body", b""))
            more = message.get("more_body", False)
        await commits.submit(b"".join(chunks))
        await send({"type": "http.response.start", "status": 200, "headers": HEADERS})
        await send({"type": "http.response.body", "body": b"{}"})

    return app


def serve(kind: str, write: Write) -> None:
    """Serve on a free port, which is printed, until Ctrl-C."""
    serve_app(kind, make_app(GroupCommit(write)))


def serve_app(name: str, app: Any) -> None:
    """Serve an ASGI application on a free port, which is printed, until Ctrl-C."""
    listener = socket.create_server(("127.0.0.1", 0), backlog=2048)
    print(f"{name} is at http://127.0.0.1:{listener.getsockname()[1]}", flush=True)
    config = uvicorn.Config(
        app,
        lifespan="off",
        log_level="warning",
        access_log=False,
        server_header=False,
    )
    with contextlib.suppress(KeyboardInterrupt):
        uvicorn.Server(config).run([listener])


def main(kind: str, path: Path) -> None:
    serve(kind, {"sqlite": sqlite_writer, "log": log_writer}[kind](path))


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
