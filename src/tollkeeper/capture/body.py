"""Watch bodies go by without holding them up: the request's as the app reads it, the answer's as it is sent."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

__all__ = ["RequestTee", "ResponseBody", "SizedResponseBody", "is_json"]


def is_json(content_type: str) -> bool:
    """Whether a Content-Type says JSON: ``application/json`` or any ``+json``."""
    kind = content_type.partition(";")[0].strip().lower()
    return kind == "application/json" or kind.endswith("+json")


class RequestTee:
    """A ``wsgi.input`` that remembers at most ``limit`` bytes of what the app reads from the stream that it wraps."""

    def __init__(self, stream: Any, limit: int) -> None:
        self._stream = stream
        self._limit = limit
        self._chunks: list[bytes] = []
        self._seen = 0
        self._ended = False

    def whole(self, length: int | None) -> bytes | None:
        """The body, if the app has read all of it and it is within the limit; ``length`` is None when not announced."""
        complete = self._ended if length is None else self._seen == length
        return b"".join(self._chunks) if complete and 0 < self._seen <= self._limit else None

    def _saw(self, data: bytes) -> bytes:
        if data:
            self._seen += len(data)
            if self._seen <= self._limit:
                self._chunks.append(data)
            else:
                self._chunks.clear()
        return data

    def read(self, size: int | None = -1) -> bytes:
        """As the stream's."""
        size = -1 if size is None else size
        data = self._saw(self._stream.read() if size < 0 else self._stream.read(size))
        self._ended = self._ended or size < 0 or (not data and size > 0)
        return data

    def readline(self, *size: int) -> bytes:
        """As the stream's."""
        data = self._saw(self._stream.readline(*size))
        self._ended = self._ended or (not data and size[:1] != (0,))
        return data

    def readlines(self, *hint: int) -> list[bytes]:
        """As the stream's."""
        lines: list[bytes] = self._stream.readlines(*hint)
        for line in lines:
            self._saw(line)
        self._ended = self._ended or not hint or not lines
        return lines

    def __iter__(self) -> Iterator[bytes]:
        for line in self._stream:
            yield self._saw(line)
        self._ended = True

    def _readinto(self, buffer: Any) -> int | None:
        count: int | None = self._stream.readinto(buffer)
        if count is not None:
            self._ended = self._ended or (count == 0 and len(buffer) > 0)
            self._saw(bytes(memoryview(buffer)[:count]))
        return count

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._stream, name)  # what the stream lacks, this one lacks too
        return self._readinto if name == "readinto" else value


class ResponseBody:
    """The iterable of an answer, chunk by chunk as it comes; says once when it is over, whichever way it ends.

    ``over`` gets the error that ended it, or None. It is over when the last chunk is out or the server closes it,
    whatever comes first; an answer that nobody closes is over when it is forgotten.
    """

    __slots__ = ("_iterable", "_next", "_over", "_saw")

    def __init__(
        self, iterable: Iterable[bytes], saw: Callable[[bytes], None], over: Callable[[BaseException | None], None]
    ) -> None:
        self._iterable = iterable
        self._saw = saw
        self._over = over
        self._next: Callable[[], bytes] | None = None

    def __iter__(self) -> Iterator[bytes]:
        self._next = iter(self._iterable).__next__
        return self

    def __next__(self) -> bytes:
        try:
            if self._next is None:
                self._next = iter(self._iterable).__next__
            chunk = self._next()
        except StopIteration:
            self._over(None)
            raise
        except BaseException as error:
            self._over(error)
            raise
        self._saw(chunk)
        return chunk

    def close(self) -> None:
        """Close what is wrapped, if it can be closed."""
        try:
            close = getattr(self._iterable, "close", None)
            if close is not None:
                close()
        except BaseException as error:
            self._over(error)
            raise
        self._over(None)

    def __del__(self) -> None:
        self._over(None)


class SizedResponseBody(ResponseBody):
    """The same for an iterable that has a length, by which servers tell that one chunk is all."""

    __slots__ = ()

    def __len__(self) -> int:
        return len(self._iterable)  # type: ignore[arg-type]  # made only for what has a length
