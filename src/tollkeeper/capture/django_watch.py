"""Watch one request on its way through Django, by what passes between Django's own objects."""

from __future__ import annotations

import asyncio
import re
import time
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import unquote_to_bytes

from tollkeeper.capture.body import BodyStart, RequestTee, tee_request
from tollkeeper.capture.content import is_kept
from tollkeeper.capture.current import exchange_in_hand
from tollkeeper.capture.environ import ENVIRON_KEY, note_environ, note_headers, read_environ
from tollkeeper.capture.exchange import Exchange
from tollkeeper.capture.multipart import MultipartSummary

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from tollkeeper.capture.exchange import RequestFacts
    from tollkeeper.capture.recorder import Recorder

__all__ = ["Watch"]

CLIENT_GONE = 499  # as proxies write down a client that did not wait for the answer
BODILESS = {204, 304}
_maybe_broken = re.compile(rb"(?:%[89A-F][0-9A-F])+")


class Watch(Exchange):
    """One request, from the first middleware to the close of its response; it keeps neither of them alive.

    Once it is made, none of its methods raises, and ``over`` counts once.
    """

    path: str
    scheme: str
    _recorder: Recorder
    _bodiless: bool
    _sends_files: bool
    _over: bool = True  # what could not be made is not to be recorded when it is thrown away
    _request: BodyStart | MultipartSummary | None = None
    _tee: RequestTee | None = None
    _answer: BodyStart | None = None
    _passing: bool = True  # whether the bytes of the answer pass by here
    _charset: str = "utf-8"

    @classmethod
    def of(cls, recorder: Recorder, request: Any, source: str) -> Self:
        """Begin one; raises whatever an odd request leads to."""
        meta = request.META
        watch = cls(
            source,
            note_environ(meta),
            _read,
            recorder.log,
            getattr(request, "scope", meta).get(ENVIRON_KEY),
        )
        watch.path = request.path
        watch.scheme = request.scheme
        watch._recorder = recorder
        watch._bodiless = request.method == "HEAD"
        watch._sends_files = bool(meta.get("wsgi.file_wrapper"))
        watch._read_along(request, meta)
        watch._over = False
        exchange_in_hand.set(watch)
        return watch

    def _read_along(self, request: Any, meta: dict[str, Any]) -> None:
        recorder = self._recorder
        if recorder.keeps_details and recorder.is_sampled():
            self.detailed, self.plain = True, False
            self.request_headers = note_headers(meta)
            kind = meta.get("CONTENT_TYPE") or ""
            if recorder.options.level == "bodies" and is_kept(kind, recorder.options.content_types):
                multipart = kind.lower().startswith("multipart/")
                self._request = MultipartSummary(kind) if multipart else BodyStart(recorder.options.max_body_bytes)
        if self._request is not None or "HTTP_TRANSFER_ENCODING" in meta:
            self._follow_body(vars(request), recorder)

    def _follow_body(self, request: dict[str, Any], recorder: Recorder) -> None:
        if "_body" in request and self._request is not None:  # a middleware before us has read it
            self._request.feed(request["_body"])
        if "_stream" in request:
            self._tee = request["_stream"] = tee_request(request["_stream"], self._request, recorder.trouble)

    def __reduce__(self) -> tuple[type[bool], tuple[bool]]:
        return bool, (True,)  # requests are pickled and copied, and with them the mark that they are watched

    def raised(self, error: BaseException) -> None:
        """Note an exception that Django is going to answer."""
        try:
            self.fail(error)
        except Exception as fault:  # noqa: BLE001 - nothing of ours reaches the host
            self._recorder.trouble(fault)

    def answered(self, response: Any) -> None:
        """Note a response that is ready to be sent, and follow it until it is closed."""
        try:
            self.status = response.status_code
            self._bodiless = self._bodiless or self.status in BODILESS
            headers = list(response.items())
            if self.detailed:
                headers += [("Set-Cookie", cookie.OutputString()) for cookie in response.cookies.values()]
                kind, options = response.get("Content-Type", ""), self._recorder.options
                if options.level == "bodies" and is_kept(kind, options.content_types):
                    self._answer = BodyStart(options.max_body_bytes)
            self.response_headers = headers
            self.response_size = 0
            if response.streaming:
                self._follow_stream(response)
            else:
                self._saw(response.content)
            response._resource_closers.append(self.over)  # noqa: SLF001 - how Django itself closes a request
        except Exception as error:  # noqa: BLE001 - nothing of ours reaches the host
            self._lose(error)

    def _follow_stream(self, response: Any) -> None:
        if self._sends_files and getattr(response, "file_to_stream", None) is not None:
            self._passing = False  # the server takes the file and leaves the iterator alone
            self._first()
            return
        self._charset = response.charset
        # Not by the setter of streaming_content, which would keep the response in a cycle, and forget file_to_stream.
        watched = _AsyncChunks if response.is_async else _Chunks
        response._iterator = watched(response._iterator, self)  # noqa: SLF001 - the only place where a stream can be watched

    def _first(self) -> None:
        if self.first_byte is None and not self._bodiless:
            self.first_byte = time.perf_counter() - self.started

    def _saw(self, chunk: Any) -> None:
        if self._bodiless:  # the server leaves it out
            return
        data = chunk if isinstance(chunk, bytes) else _encoded(chunk, self._charset)
        if data:
            self._first()
            self.response_size += len(data)  # type: ignore[operator]  # a number until it is over
            if self._answer is not None:
                self._answer.feed(data)

    def passed(self, chunk: Any) -> None:
        """Note a chunk of a stream; what goes wrong with that stays here."""
        try:
            if not self._over:
                self._saw(chunk)
        except Exception as error:  # noqa: BLE001 - nothing of ours reaches the host
            self._lose(error)

    def over(self, error: BaseException | None = None) -> None:
        """Record the request, the first time that this is called."""
        if self._over:
            return
        self._over = True
        try:
            self.elapsed = time.perf_counter() - self.started
            if isinstance(error, asyncio.CancelledError | GeneratorExit):
                self.status = CLIENT_GONE if self.response_size is None else self.status
            elif error is not None:
                self.fail(error)
            if not self._passing and not self._bodiless:
                self.response_size = None  # as announced
            # What waits in the queue must not keep the app's objects alive.
            if self._answer is not None:
                self.response_body, self._answer = self._answer.kept(), None
            if self._tee is not None:
                self.request_size, self._tee = self._tee.seen, None
            if self._request is not None:
                kept, self._request = self._request, None
                self.request_body = kept.kept() if isinstance(kept, BodyStart) else kept.parts()
            self._recorder.finish(self)
        except Exception as failure:  # noqa: BLE001 - nothing of ours reaches the host
            self._recorder.fail(failure)

    def __del__(self) -> None:
        self.over()  # a response that nobody closed

    def _lose(self, error: Exception) -> None:
        self._over = True
        self._recorder.fail(error)


class _Chunks:
    """The iterator of a stream, watched; it has no ``close``, for the response closes the stream itself."""

    def __init__(self, chunks: Iterator[Any], watch: Watch) -> None:
        self._chunks = chunks
        self._watch = watch

    def __iter__(self) -> _Chunks:
        return self

    def __next__(self) -> Any:
        try:
            chunk = next(self._chunks)
        except BaseException as error:
            self._watch.over(None if isinstance(error, StopIteration) else error)
            raise
        self._watch.passed(chunk)
        return chunk


class _AsyncChunks:
    """The same of an asynchronous stream."""

    def __init__(self, chunks: AsyncIterator[Any], watch: Watch) -> None:
        self._chunks = chunks
        self._watch = watch

    def __aiter__(self) -> _AsyncChunks:
        return self

    async def __anext__(self) -> Any:
        try:
            chunk = await anext(self._chunks)
        except BaseException as error:
            self._watch.over(None if isinstance(error, StopAsyncIteration) else error)
            raise
        self._watch.passed(chunk)
        return chunk


def _encoded(chunk: Any, charset: str) -> bytes:
    """What Django makes of a chunk that is not bytes."""
    return bytes(chunk) if isinstance(chunk, memoryview) else str(chunk).encode(charset)


def _read(watch: Watch) -> RequestFacts:
    facts = read_environ(watch)
    facts.path = _path_bytes(watch.path)  # in META it is text that was decoded already
    facts.mount = facts.mount.rstrip("/")
    facts.scheme = watch.scheme
    return facts


def _path_bytes(path: str) -> bytes:
    """The bytes that a client sent; Django writes those that are not UTF-8 as ``%FF``."""
    return _maybe_broken.sub(_restored, path.encode("utf-8", "replace"))


def _restored(match: re.Match[bytes]) -> bytes:
    raw = unquote_to_bytes(match[0])
    try:
        raw.decode()
    except UnicodeDecodeError:
        return raw
    return match[0]  # Django would have read it: the client itself sent %25C3%25A9
