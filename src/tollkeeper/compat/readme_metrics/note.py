"""What the request's thread notes for a log, beside what it notes for an event."""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import suppress
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from msgspec import Struct
from werkzeug.wsgi import ClosingIterator

if TYPE_CHECKING:
    import flask
    from _typeshed.wsgi import WSGIEnvironment

    from tollkeeper.capture.exchange import Exchange

__all__ = ["MAX_BODY_BYTES", "Note", "Observed", "new_log_id", "read_caller"]

MAX_BODY_BYTES = 2**20
"""Of a body that is longer, the beginning is told: what waits for ReadMe must not fill the memory of the app."""
MAX_PAGE_BYTES = 2**16
FIXED_WEIGHT = 1024  # of an Observed and its Note, about
TOLD = ("label", "email")
VARIANT = {digit: "89ab"[int(digit, 16) % 4] for digit in "0123456789abcdef"}
ID_BYTES, IDS_AT_ONCE = 16, 64


class Caller(Struct, frozen=True):
    """Who called, as the grouping function told it; ``told`` are label and email, where they were there."""

    key: str
    told: dict[str, Any]


class Note(Struct, eq=False):
    """What a log needs beside what every door notes.

    ``identifier`` is the id of the log, once it has one; ``unread`` the stream of a request's body that is all in
    memory; ``answer`` the body of an answer that is, with its ``size``.
    """

    caller: Caller
    http_version: str
    identifier: str = ""
    unread: Any = None
    answer: bytes | None = None
    size: int = 0

    @classmethod
    def of(cls, caller: Caller, environ: WSGIEnvironment) -> Note:
        """The note of a request."""
        stream = environ["wsgi.input"]
        unread = stream if hasattr(stream, "getbuffer") else None
        return cls(caller, environ.get("SERVER_PROTOCOL", "HTTP/1.1"), unread=unread)

    def keep_answer(self, response: flask.Response) -> None:
        """Keep the body of an answer that is no stream; that of a stream is seen as it leaves."""
        if _is_error_page(response):
            response.make_sequence()
        if not response.is_sequence or response.direct_passthrough:
            return
        chunks: Any = response.response
        if len(chunks) == 1 and type(chunks[0]) is bytes:  # as nearly all are
            self.answer, self.size = chunks[0][:MAX_BODY_BYTES], len(chunks[0])
            return
        kept, size = [], 0
        for chunk in response.iter_encoded():
            if size < MAX_BODY_BYTES:
                kept.append(chunk[: MAX_BODY_BYTES - size])
            size += len(chunk)
        self.answer, self.size = b"".join(kept), size

    def rest_of_request(self) -> bytes | None:
        """What the app has not read of a body, told only from memory: to read on could take for ever."""
        if self.unread is not None:
            with suppress(ValueError, BufferError), self.unread.getbuffer() as held:  # closed by the app or the server
                return bytes(held[:MAX_BODY_BYTES])
        return None


class Observed(Struct, frozen=True, gc=False):  # it is in no cycle, and many of them wait
    """What was noted of a request and its answer, in the words of ``capture.exchange``, and what became of it here."""

    note: Note
    read: Any
    noted: str
    request_headers: str
    request_body: Any
    request_size: int | None
    status: int | str
    response_headers: Any
    response_body: bytes
    response_size: int
    time: float
    elapsed: float
    detailed: bool = True

    @classmethod
    def of(cls, exchange: Exchange, note: Note, elapsed: float) -> Observed:
        """Take down what a log needs."""
        known = note.answer is not None
        request_body = exchange.request_body or note.rest_of_request()
        note.unread = None  # what waits must not keep it alive
        return cls(
            note,
            exchange.read,
            exchange.noted,
            exchange.request_headers,
            request_body,
            exchange.request_size,
            exchange.status,
            exchange.response_headers,
            (note.answer if known else exchange.response_body) or b"",
            (note.size if known else exchange.response_size) or 0,
            exchange.time,
            elapsed,
        )

    def weight(self) -> int:
        """Bytes that it holds in memory, about; of a multipart body, it is a summary with the names of its parts."""
        weight = FIXED_WEIGHT + len(self.noted) + len(self.request_headers) + len(self.response_body)
        body = self.request_body
        if body:
            weight += len(body) if type(body) is bytes else FIXED_WEIGHT * len(body)
        for _, value in self.response_headers:
            weight += 100 + len(value)
        return weight


class _LogIds:
    """UUIDs of version 4, many made at once: to ask for random bytes lets other threads run, for as long as they will.

    A child of a fork makes its own.
    """

    def __init__(self) -> None:
        self._process = 0
        self._ids: list[str] = []

    def new(self) -> str:
        try:
            if self._process == os.getpid():
                return self._ids.pop()
        except IndexError:
            pass
        digits = os.urandom(ID_BYTES * IDS_AT_ONCE).hex()
        ids = [_uuid(digits[at : at + 2 * ID_BYTES]) for at in range(0, len(digits), 2 * ID_BYTES)]
        one = ids.pop()
        self._ids = ids  # before the process: another thread must not take those of the parent
        self._process = os.getpid()
        return one


new_log_id = _LogIds().new
"""Makes the id of a log; safe in threads and after a fork."""


def _uuid(digits: str) -> str:
    return f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-{VARIANT[digits[16]]}{digits[17:20]}-{digits[20:]}"


def read_caller(group: Any) -> Caller | None:
    """Read what a grouping function returned, and leave it as it is; None when that is None.

    Raises:
        TypeError: it is no dict with an ``api_key`` or ``id``.
    """
    if group is None:
        return None
    if not isinstance(group, (dict, Mapping)):
        raise TypeError(f"it returned {type(group).__name__}: return a dict, or None to leave the request out.")
    key = group.get("api_key")
    if key is None:
        key = group.get("id")
    if key is None:
        raise TypeError("it returned no 'api_key': return one, or None to leave the request out.")
    return Caller(str(key), {name: group[name] for name in TOLD if name in group})


def _is_error_page(response: flask.Response) -> bool:
    """Whether it is what Flask makes of an HTTPException: all in memory, though it looks like a stream."""
    if type(response.response) is not ClosingIterator or response.status_code < HTTPStatus.BAD_REQUEST:
        return False
    size = response.headers.get("Content-Length", type=int)
    return size is not None and size <= MAX_PAGE_BYTES
