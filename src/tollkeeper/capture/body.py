"""Watch a request's body go by as the app reads it, without holding it up or reading ahead."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from tollkeeper.capture.content import is_kept
from tollkeeper.capture.multipart import MultipartSummary

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from tollkeeper.capture.options import CaptureOptions

__all__ = ["BodyStart", "RequestTee", "keep_answer", "keep_request", "tee_request"]


class Eater(Protocol):
    """Takes the chunks of a body as they come."""

    def feed(self, data: bytes) -> None:
        """Take the next chunk."""
        ...


class BodyStart:
    """The first ``limit`` bytes of a body that comes in chunks."""

    __slots__ = ("_chunks", "_room")

    def __init__(self, limit: int) -> None:
        self._chunks: list[bytes] = []
        self._room = limit

    def feed(self, data: bytes) -> None:
        """Take the next chunk."""
        if self._room > 0:
            self._chunks.append(data if len(data) <= self._room else data[: self._room])
            self._room -= len(data)

    def kept(self) -> bytes:
        """What was kept so far."""
        return b"".join(self._chunks)


def keep_request(content_type: str, options: CaptureOptions) -> BodyStart | MultipartSummary | None:
    """What is to be fed with the body of a request; None when nothing of it is kept."""
    if not is_kept(content_type, options.content_types):
        return None
    if content_type.lower().startswith("multipart/"):
        return MultipartSummary(content_type)
    return BodyStart(options.max_body_bytes)


def keep_answer(headers: Sequence[tuple[str, str]], options: CaptureOptions) -> BodyStart | None:
    """What is to be fed with the body of an answer; None when nothing of it is kept."""
    content_type = ""
    for name, value in headers:
        if name.lower() == "content-type":
            content_type = value
            break
    return BodyStart(options.max_body_bytes) if is_kept(content_type, options.content_types) else None


def tee_request(stream: Any, eater: Eater | None, failed: Callable[[Exception], None]) -> RequestTee:
    """Stand between the app and the stream of a body; what the stream lacks, it lacks too."""
    return (_BufferedTee if hasattr(stream, "readinto") else RequestTee)(stream, eater, failed)


class RequestTee:
    """A ``wsgi.input`` that counts what the app reads from the stream that it wraps, and shows it to ``eater``.

    ``failed`` gets what goes wrong with that; the app always gets what the stream has.
    """

    def __init__(self, stream: Any, eater: Eater | None, failed: Callable[[Exception], None]) -> None:
        self._stream = stream
        self._eater = eater
        self._failed = failed
        self.seen = 0

    def _saw(self, data: bytes) -> bytes:
        try:
            self.seen += len(data)
            if self._eater is not None:
                self._eater.feed(data)
        except Exception as error:  # noqa: BLE001 - the app must get its body
            self._eater = None
            self._failed(error)
        return data

    def read(self, *size: Any) -> bytes:
        """As the stream's."""
        return self._saw(self._stream.read(*size))

    def readline(self, *size: Any) -> bytes:
        """As the stream's."""
        return self._saw(self._stream.readline(*size))

    def readlines(self, *hint: Any) -> list[bytes]:
        """As the stream's."""
        return [self._saw(line) for line in self._stream.readlines(*hint)]

    def __iter__(self) -> Iterator[bytes]:
        return map(self._saw, self._stream)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


class _BufferedTee(RequestTee):
    """Of a stream that reads into the app's memory, as most do."""

    def readinto(self, buffer: Any) -> int | None:
        """As the stream's."""
        count: int | None = self._stream.readinto(buffer)
        if count:
            self._saw(bytes(memoryview(buffer)[:count]))
        return count
