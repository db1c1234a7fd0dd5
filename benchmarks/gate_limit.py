"""What a gate could do at best: raw ASGI on uvicorn that reads a call and answers JSON, and decides nothing.

``python -m benchmarks.gate_limit`` serves any POST on a free port, which it prints.
"""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import Struct

from benchmarks.limits import serve_app

__all__: list[str] = []

HEADERS = [(b"content-type", b"application/json"), (b"cache-control", b"no-store")]


class _Call(Struct, frozen=True):
    key: str
    endpoint: str


class _Answer(Struct, frozen=True):
    customer: str
    plan: str


_decode = msgspec.json.Decoder(_Call).decode
_encode = msgspec.json.Encoder().encode


async def app(_scope: dict[str, Any], receive: Any, send: Any) -> None:
    chunks, more = [], True
    while more:
        message = await receive()
        chunks.append(message.get("body", b""))
        more = message.get("more_body", False)
    body = _encode(_Answer(customer=_decode(b"".join(chunks)).key, plan="gold"))
    length = (b"content-length", b"%d" % len(body))
    await send({"type": "http.response.start", "status": 200, "headers": [*HEADERS, length]})
    await send({"type": "http.response.body", "body": body})


if __name__ == "__main__":
    serve_app("raw ASGI", app)
