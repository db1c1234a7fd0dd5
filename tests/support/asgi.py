"""A server of ASGI applications in this process, that lets a test see each message."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from tollkeeper.asgi import Tollkeeper
from tollkeeper.sinks.memory import MemorySink

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tollkeeper.capture.asgi_types import ASGIApp, Message, Scope, Send
    from tollkeeper.capture.queue import Stats

__all__ = ["Call", "Kept", "answer", "http_scope", "text"]

SECONDS = 10


def http_scope(target: str = "/", method: str = "GET", **parts: Any) -> dict[str, Any]:
    """The scope of a request, as uvicorn makes it; ``headers`` may have texts."""
    path, _, query = target.partition("?")
    headers = [(_bytes(name).lower(), _bytes(value)) for name, value in parts.pop("headers", ())]
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "query_string": query.encode(),
        "root_path": "",
        "headers": [(b"host", b"shop.example"), *headers],
        "client": ("203.0.113.7", 50000),
        "server": ("127.0.0.1", 8000),
        "state": {},
        **parts,
    }


class Call:
    """One call of an app: what it got, what it sent, what it raised."""

    def __init__(self, scope: Scope, body: Iterable[bytes] = (), send: Send | None = None) -> None:
        self.scope = scope
        self.sent: list[Message] = []
        self.received = 0
        self.error: BaseException | None = None
        self._parts = list(body)
        self._deliver = send
        self._answered = asyncio.Event()

    async def receive(self) -> Message:
        """The next part of the body; when there is none, the end of the connection after the answer."""
        self.received += 1
        if self.received <= max(1, len(self._parts)):
            part = self._parts[self.received - 1] if self._parts else b""
            return {"type": "http.request", "body": part, "more_body": self.received < len(self._parts)}
        await self._answered.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Message) -> None:
        """Take a message, as it is at this moment."""
        self.sent.append(dict(message))
        if self._deliver is not None:
            await self._deliver(message)
        if message.get("type") == "http.response.body" and not message.get("more_body", False):
            self._answered.set()

    async def run(self, app: ASGIApp) -> Call:
        """Call the app."""
        try:
            async with asyncio.timeout(SECONDS):
                await app(self.scope, self.receive, self.send)
        except BaseException as error:  # noqa: BLE001 - whatever an app raises is compared
            self.error = error
        return self


def answer(app: ASGIApp, path: str = "/", method: str = "GET", body: Iterable[bytes] = (), **parts: Any) -> Call:
    """Call an app in an event loop of its own."""

    async def go() -> Call:
        return await Call(http_scope(path, method, **parts), body).run(app)

    return asyncio.run(go())


def text(call: Call) -> bytes:
    """The body of an answer."""
    return b"".join([message.get("body", b"") for message in call.sent])


class Kept:
    """A keeper whose sink is in memory, and the events that came of it."""

    def __init__(self, **options: Any) -> None:
        self.sink = MemorySink()
        self.keeper = Tollkeeper(sink=self.sink, **options)

    def wrap(self, app: ASGIApp) -> ASGIApp:
        """Watch an app."""
        return self.keeper.middleware(app)

    def events(self) -> list[dict[str, Any]]:
        """The events so far, as documents."""
        assert self.keeper.flush(SECONDS)
        return [event.document() for event in self.sink.events]

    def event(self) -> dict[str, Any]:
        """The only event."""
        (event,) = self.events()
        return event

    def close(self) -> Stats:
        """End, with all accounted for."""
        self.keeper.close(5)
        stats = self.keeper.stats()
        assert stats.captured == stats.sent + stats.queued + stats.excluded + sum(stats.dropped.values())
        return stats


def _bytes(value: str | bytes) -> bytes:
    return value.encode("latin-1") if isinstance(value, str) else value
