"""The shop in plain ASGI, with what the protocol allows and frameworks hide."""

from __future__ import annotations

import asyncio
import json
import re
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

from conformance.capture.apps import shop
from conformance.capture.apps.gate import AsyncGate
from tollkeeper import skip
from tollkeeper.asgi import Tollkeeper

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, MutableMapping

    from tollkeeper.sinks.base import Sink

    Scope = MutableMapping[str, Any]
    Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
    Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
    View = Callable[["Call"], Awaitable[None]]

__all__ = ["make"]

ROUTE = "shop.route"


def make(sink: Sink | None, **options: Any) -> Any:
    """Make the app; without a sink it has never heard of Tollkeeper."""
    if sink is None:
        return _app
    return Tollkeeper(_app, sink=sink, route=lambda scope: scope.get(ROUTE), **(shop.OPTIONS | options))


class Call:
    """One request: what came, and the ways to answer it."""

    def __init__(self, scope: Scope, receive: Receive, send: Send, values: dict[str, str]) -> None:
        self.scope, self.receive, self.send, self.values = scope, receive, send, values
        self.headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope.get("headers", ())}

    async def body(self) -> bytes:
        parts = []
        while True:
            message = await self.receive()
            if message["type"] == "http.disconnect":
                raise ConnectionError("The client has gone.")
            parts.append(message.get("body", b""))
            if not message.get("more_body"):
                return b"".join(parts)

    async def start(self, status: int, kind: str, headers: Iterable[tuple[str, str]] = ()) -> None:
        pairs = [("Content-Type", kind), *headers] if kind else list(headers)
        encoded = [(name.lower().encode(), value.encode("latin-1")) for name, value in pairs]
        await self.send({"type": "http.response.start", "status": status, "headers": encoded})

    async def answer(
        self,
        body: str | bytes,
        status: int = 200,
        kind: str = "text/plain; charset=utf-8",
        headers: Iterable[tuple[str, str]] = (),
    ) -> None:
        data = body.encode() if isinstance(body, str) else body
        await self.start(status, kind, [("Content-Length", str(len(data))), *headers])
        await self.send({"type": "http.response.body", "body": data})

    async def json(self, document: Any) -> None:
        await self.answer(json.dumps(document), kind="application/json")

    async def pieces(self, chunks: AsyncIterator[bytes], kind: str = "text/plain") -> None:
        await self.start(200, kind)
        async for chunk in chunks:
            await self.send({"type": "http.response.body", "body": chunk, "more_body": True})
        await self.send({"type": "http.response.body"})


async def _app(scope: Scope, receive: Receive, send: Send) -> None:
    if scope["type"] == "lifespan":
        return await _lifespan(scope, receive, send)
    if scope["type"] == "websocket":
        return await _socket(receive, send)
    found = False
    for template, methods, view in ROUTES:
        match = _pattern(template).fullmatch(scope["path"])
        if match:
            scope[ROUTE] = template
            found = True
            if scope["method"] in methods.split():
                return await view(Call(scope, receive, send, match.groupdict()))
    call = Call(scope, receive, send, {})
    if not found and any(template == f"{scope['path']}/" for template, _, _ in ROUTES):
        scope[ROUTE] = f"{scope['path']}/"
        return await call.answer("", 308, headers=[("Location", scope[ROUTE])])
    return await call.answer("no", 405 if found else 404)


def _pattern(template: str) -> re.Pattern[str]:
    kinds = {"rest": ".+", "user_id": "[0-9]+", "item": "[0-9]+"}
    return re.compile(re.sub(r"\{(\w+)\}", lambda found: f"(?P<{found[1]}>{kinds.get(found[1], '[^/]+')})", template))


async def _lifespan(scope: Scope, receive: Receive, send: Send) -> None:
    while True:
        message = await receive()
        if "state" in scope:
            scope["state"]["started"] = True
        await send({"type": f"{message['type']}.complete"})
        if message["type"] == "lifespan.shutdown":
            return


async def _socket(receive: Receive, send: Send) -> None:
    while True:
        message = await receive()
        if message["type"] == "websocket.connect":
            await send({"type": "websocket.accept"})
        elif message["type"] == "websocket.receive":
            await send({"type": "websocket.send", "text": f"echo {message['text']}"})
        else:
            return


def _says(text: str | bytes, status: int = 200, **how: Any) -> View:
    async def view(call: Call) -> None:
        await call.answer(text, status, **how)

    return view


def _chunks(make_chunks: Callable[[Call], AsyncIterator[bytes]], kind: str = "text/plain") -> View:
    async def view(call: Call) -> None:
        await call.pieces(make_chunks(call), kind)

    return view


async def _user(call: Call) -> None:
    await call.json(shop.USER | {"id": int(call.values["user_id"])})


async def _several(call: Call) -> None:
    await call.answer(" ".join(call.values.values()))


async def _item(call: Call) -> None:
    if call.scope["method"] == "DELETE":
        await call.start(204, "")
        return await call.send({"type": "http.response.body"})
    got = json.loads(await call.body())
    return await call.json({"id": call.values["item_id"], "method": call.scope["method"], "got": got})


async def _search(call: Call) -> None:
    await call.json(parse_qsl(call.scope["query_string"].decode(), keep_blank_values=True))


async def _cached(call: Call) -> None:
    if call.headers.get("if-none-match") == shop.ETAG:
        await call.start(304, "", [("ETag", shop.ETAG)])
        return await call.send({"type": "http.response.body"})
    return await call.answer("cached", headers=[("ETag", shop.ETAG)])


async def _started(call: Call) -> None:
    await call.json(call.scope.get("state", {}))


async def _noted(call: Call) -> None:
    await asyncio.sleep(0)
    shop.notes()
    await call.answer("async")


async def _sync(call: Call) -> None:
    await asyncio.to_thread(shop.notes)
    await call.answer("sync")


async def _echo(call: Call) -> None:
    await call.answer(await call.body(), kind=call.headers.get("content-type", ""))


async def _parsed(call: Call) -> None:
    try:
        got = json.loads(await call.body())
    except ValueError:
        return await call.answer("no JSON", 400)
    return await call.json({"got": got})


async def _count(call: Call) -> None:
    await call.answer(shop.digest(await call.body()))


async def _pieces(call: Call) -> None:
    with AsyncGate(call.headers.get("x-gate")):
        await call.answer(shop.digest(await call.body()))


async def _mirror(call: Call) -> None:
    pairs = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in call.scope["headers"]]
    query = call.scope["query_string"].decode("latin-1")
    told = shop.mirrored(call.scope["method"], call.scope["path"], query, pairs)
    await call.answer(told, kind="application/json")


async def _endless(call: Call) -> None:
    async def gone() -> None:
        while (await call.receive())["type"] != "http.disconnect":
            pass

    chunks = shop.async_endless_chunks(call.headers)
    await call.start(200, "application/octet-stream")
    watching = asyncio.create_task(gone())
    async for chunk in chunks:
        if watching.done():
            break
        await call.send({"type": "http.response.body", "body": chunk, "more_body": True})
        await asyncio.sleep(0)
    await chunks.aclose()  # type: ignore[attr-defined]  # a generator


async def _file(call: Call) -> None:
    await call.start(200, "application/octet-stream", [("Content-Length", str(shop.FILE.stat().st_size))])
    if "http.response.pathsend" in call.scope.get("extensions", {}):
        await call.send({"type": "http.response.pathsend", "path": str(shop.FILE)})
    else:
        await call.send({"type": "http.response.body", "body": shop.FILE.read_bytes()})


async def _background(call: Call) -> None:
    with AsyncGate(call.headers.get("x-gate")) as gate:
        await call.answer("done")
        await gate.until_open()


async def _empty(call: Call) -> None:
    await call.start(204, "")
    await call.send({"type": "http.response.body", "body": b""})


async def _boom(_: Call) -> None:
    raise ValueError("boom")


async def _context(call: Call) -> None:
    shop.note_all()
    await call.answer("context")


async def _skipped(call: Call) -> None:
    skip()
    await call.answer("skip")


ROUTES: list[tuple[str, str, View]] = [
    ("/users/{user_id}", "GET HEAD", _user),
    ("/v1/users/{user_id}", "GET HEAD", _user),
    ("/shops/{shop_name}/items/{item}/{rest}", "GET", _several),
    ("/items/{item_id}", "PUT PATCH DELETE", _item),
    ("/text", "GET HEAD", _says(shop.TEXT)),
    ("/slash/", "GET", _says("slash")),
    ("/away", "GET", _says("", 302, headers=[("Location", "/users/7?token=hunter2")])),
    ("/search", "GET", _search),
    ("/cached", "GET HEAD", _cached),
    ("/started", "GET", _started),
    ("/async", "GET", _noted),
    ("/sync", "GET", _sync),
    ("/echo", "POST", _echo),
    ("/json", "POST", _parsed),
    ("/form", "POST", _count),
    ("/count", "POST", _count),
    ("/pieces", "POST", _pieces),
    ("/unread", "POST", _says("unread")),
    ("/mirror/{rest}", "GET POST PUT PATCH DELETE", _mirror),
    ("/stream", "GET", _chunks(lambda call: shop.async_chunks(call.headers))),
    ("/endless", "GET", _endless),
    ("/broken", "GET", _chunks(lambda _: shop.async_broken_chunks())),
    ("/large", "GET", _says(shop.LARGE, kind="application/octet-stream")),
    ("/file", "GET", _file),
    ("/background", "GET", _background),
    ("/empty", "GET", _empty),
    ("/many", "GET", _says("many", headers=shop.MANY_HEADERS)),
    ("/latin", "GET", _says("latin", headers=[("X-Name", "caf\xe9")])),
    ("/packed", "GET", _says(shop.PACKED, kind="application/json", headers=[("Content-Encoding", "gzip")])),
    ("/boom", "GET", _boom),
    ("/abort", "GET", _says("no", 409)),
    ("/teapot", "GET", _says("short and stout", 418)),
    ("/context", "GET", _context),
    ("/skip", "GET", _skipped),
    ("/excluded", "GET", _says("excluded")),
]
