"""What the routes need that are plain ASGI: reading a body that is bounded, and sending an answer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from tollkeeper.errors import InvalidRequestError, TooLargeError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from litestar.types import Receive, Send

    from tollkeeper.api.problems import Problem

__all__ = ["JSON", "read_body", "send_answer", "send_problem"]

JSON = [(b"content-type", b"application/json"), (b"cache-control", b"no-store")]


async def read_body(receive: Receive, announced: bytes, limit: int) -> bytes:
    """Read a body of at most ``limit`` bytes; ``announced`` is its header ``Content-Length``.

    Raises TooLargeError, and InvalidRequestError when the client left before the end.
    """
    chunks: list[bytes] = []
    size = int(announced) if announced.isdigit() else 0
    if size <= limit:
        size = 0
        while True:
            message: Any = await receive()
            if message["type"] == "http.disconnect":
                raise InvalidRequestError("The connection ended before the body did: send the request again.")
            chunks.append(message.get("body", b""))
            size += len(chunks[-1])
            if size > limit or not message.get("more_body", False):
                break
    if size > limit:
        raise TooLargeError(f"The body is over {limit} bytes: send less at once.", code="body_too_large")
    return chunks[0] if len(chunks) == 1 else b"".join(chunks)


async def send_answer(send: Send, status: int, headers: Iterable[tuple[bytes, bytes]], body: bytes) -> None:
    """Send all of an answer."""
    length = (b"content-length", b"%d" % len(body))
    await send({"type": "http.response.start", "status": status, "headers": [*headers, length]})
    await send({"type": "http.response.body", "body": body, "more_body": False})


async def send_problem(send: Send, problem: Problem, headers: Iterable[tuple[bytes, bytes]] = ()) -> None:
    """Send a problem document, with headers beside its own."""
    own = ((name.encode(), value.encode()) for name, value in problem.headers.items())
    await send_answer(send, problem.status, [*own, *headers], msgspec.json.encode(problem))
