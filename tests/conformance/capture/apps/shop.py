"""What the shop answers, whatever framework it is written in, so that one table of cases fits all."""

from __future__ import annotations

import gzip
import hashlib
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from conformance.capture.apps.gate import AsyncGate, Gate
from tollkeeper import set_consumer, set_units, track

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable, Iterator

__all__ = [
    "ETAG",
    "FILE",
    "LARGE",
    "MANY_HEADERS",
    "OPTIONS",
    "PACKED",
    "TEXT",
    "USER",
    "async_broken_chunks",
    "async_chunks",
    "async_endless_chunks",
    "broken_chunks",
    "chunks",
    "digest",
    "endless_chunks",
    "mirrored",
    "note_all",
    "notes",
]

TEXT = "Grüße, 世界\n"
USER = {"id": 7, "name": "Ann", "password": "hunter2"}
LARGE = bytes(range(256)) * 4096
PACKED = gzip.compress(b'{"packed": true, "token": "hunter2"}', mtime=0)
ETAG = '"v1"'
FILE = Path(__file__).parents[4] / "examples" / "data" / "access.log.gz"
MANY_HEADERS = (
    ("X-Many", "1"),
    ("X-Many", "2"),
    ("Set-Cookie", "sid=hunter2; Path=/"),
    ("Set-Cookie", "theme=dark; Path=/"),
)
PIECES, PIECE = 2000, b"x" * 2**16  # more than any buffer on the way holds


def _identify(request: Any) -> dict[str, str] | None:
    name = request.headers.get("x-consumer")
    return {"key": name, "group": "shoppers"} if name else None


def _excluded(request: Any) -> bool:
    return bool(request.headers.get("x-exclude") == "yes")


OPTIONS: dict[str, Any] = {
    "identify": _identify,
    "exclude": [_excluded, "/excluded", 418, "TRACE"],
    "api": "shop-api",
    "api_version": "7",
    "source": "shop",
}


def digest(body: bytes) -> str:
    """Prove what arrived of a large body."""
    return f"{len(body)} {hashlib.sha256(body).hexdigest()}"


def mirrored(method: str, path: str, query: str, headers: Iterable[tuple[str, str]]) -> str:
    """Tell what the app sees of a request, as JSON."""
    told = sorted([name.lower(), value] for name, value in headers)
    return json.dumps({"method": method, "path": path, "query": query, "headers": told})


def notes() -> None:
    """Say what a view can say of a request, from wherever it runs."""
    track(color="red", basket={"size": 3, "password": "hunter2"})
    set_units("2.5")


def note_all() -> None:
    """Say all of it."""
    notes()
    set_consumer("ann", label="Ann", group="staff")


def chunks(headers: Any) -> Iterator[bytes]:
    """Three chunks, each made when the client has the one before."""
    with Gate(headers.get("X-Gate")) as gate:
        for number in range(3):
            if number:
                gate.wait()
            yield f"chunk {number}\n".encode()


def broken_chunks() -> Iterator[bytes]:
    """Two chunks and a failure."""
    yield b"chunk 0\n"
    yield b"chunk 1\n"
    raise OSError("broken")


def endless_chunks(headers: Any) -> Iterator[bytes]:
    """More than the client will wait for; it is told what became of the generator."""
    with Gate(headers.get("X-Gate")) as gate:
        word = "closed"
        try:
            for _ in range(PIECES):
                yield PIECE
            word = "ended"
        finally:
            gate.tell(word)


async def async_chunks(headers: Any) -> AsyncIterator[bytes]:
    """As ``chunks``."""
    with AsyncGate(headers.get("x-gate")) as gate:
        for number in range(3):
            if number:
                await gate.until_open()
            yield f"chunk {number}\n".encode()


async def async_broken_chunks() -> AsyncIterator[bytes]:
    """As ``broken_chunks``."""
    for chunk in (b"chunk 0\n", b"chunk 1\n"):
        yield chunk
    raise OSError("broken")


async def async_endless_chunks(headers: Any) -> AsyncIterator[bytes]:
    """As ``endless_chunks``."""
    with AsyncGate(headers.get("x-gate")) as gate:
        word = "closed"
        try:
            for _ in range(PIECES):
                yield PIECE
            word = "ended"
        finally:
            gate.tell(word)
