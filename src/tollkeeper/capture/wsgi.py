"""Observe any WSGI application: what every door onto WSGI shares."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, Any

from tollkeeper.capture.body import BodyStart, RequestTee, keep_answer, keep_request
from tollkeeper.capture.current import exchange_in_hand
from tollkeeper.capture.environ import header_pairs, note_environ, read_environ
from tollkeeper.capture.exchange import Exchange

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

    from tollkeeper.capture.multipart import MultipartSummary
    from tollkeeper.capture.recorder import Recorder

__all__ = ["ENVIRON_KEY", "WSGIObserver"]

ENVIRON_KEY = "tollkeeper.exchange"


class WSGIObserver:
    """Wraps an application and records each of its requests.

    ``answering`` adds what only the framework knows, the route, when the answer starts or the app raises.
    The bytes, headers, exceptions and timing of the application pass unchanged. Nothing of ours raises into it.
    """

    def __init__(
        self,
        app: WSGIApplication,
        recorder: Recorder,
        source: str,
        answering: Callable[[Exchange, WSGIEnvironment], None],
    ) -> None:
        self._app = app
        self._recorder = recorder
        self._source = source
        self._answering = answering

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer as the application does."""
        try:
            watch = _Watch(self._recorder, self._answering, environ, start_response, self._source)
        except Exception as error:  # noqa: BLE001 - nothing of ours reaches the host
            self._recorder.fail(error)
            return self._app(environ, start_response)
        try:
            result = self._app(environ, watch.start)
        except BaseException as error:
            watch.over(error)
            raise
        return watch.wrap(result)


class _Watch(Exchange):
    """One request, from call to close; to the server it is the iterable of the answer."""

    _call: tuple[Recorder, Any, WSGIEnvironment, Any] | None = None
    _answer: BodyStart | None = None
    _request: BodyStart | MultipartSummary | None = None
    _tee: RequestTee | None = None
    _lost = False
    _iterable: Any = None
    _write: Any = None

    def __init__(
        self,
        recorder: Recorder,
        answering: Callable[[Exchange, WSGIEnvironment], None],
        environ: WSGIEnvironment,
        start_response: StartResponse,
        source: str,
    ) -> None:
        Exchange.__init__(self, source, note_environ(environ), read_environ, recorder.log, environ.get(ENVIRON_KEY))
        self._call = (recorder, answering, environ, start_response)
        self.response_size = 0
        if recorder.keeps_details and recorder.is_sampled():
            self.detailed = True
            self.request_headers = header_pairs(environ)
            if recorder.options.level == "bodies":
                self._request = keep_request(environ.get("CONTENT_TYPE") or "", recorder.options)
        if self._request is not None or "HTTP_TRANSFER_ENCODING" in environ:
            self._tee = environ["wsgi.input"] = RequestTee(environ["wsgi.input"], self._request, recorder.trouble)
        environ[ENVIRON_KEY] = self
        exchange_in_hand.set(self)

    def start(self, status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Callable[[bytes], object]:
        """Stand in for the server's ``start_response``."""
        if self._call is None:
            raise RuntimeError("start_response was called after the end of the answer")  # no server would take it
        recorder, answering, environ, begin = self._call
        self._write = begin(status, headers) if exc_info is None else begin(status, headers, exc_info)
        try:
            self.status = status
            self.response_headers = tuple(headers)
            answering(self, environ)
            if self.detailed and recorder.options.level == "bodies":
                self._answer = keep_answer(self.response_headers, recorder.options)
        except Exception as error:  # noqa: BLE001 - nothing of ours reaches the host
            self._lose(error)
        return self.write

    def write(self, data: bytes) -> object:
        """Stand in for the server's ``write``, which few applications still call."""
        try:
            self._saw(data)
        except Exception as error:  # noqa: BLE001 - nothing of ours reaches the host
            self._lose(error)
        return self._write(data)

    def wrap(self, result: Iterable[bytes]) -> Iterable[bytes]:
        """The application's iterable, watched: the very same object where the server knows it by its type."""
        try:
            wrapper = None if self._call is None else self._call[2].get("wsgi.file_wrapper")
            if isinstance(wrapper, type) and isinstance(result, wrapper) and self._hook_close(result):
                return result
            self._iterable = result
            return _SizedAnswer(self, result) if hasattr(result, "__len__") else self  # type: ignore[arg-type]  # it has
        except Exception as error:  # noqa: BLE001 - nothing of ours reaches the host
            self._lose(error)
            return result

    def _hook_close(self, result: Any) -> bool:
        """Be told when a file that the server sends by itself (``sendfile``) is closed; False when that cannot be."""
        close = getattr(result, "close", None)

        def observed_close() -> None:
            try:
                if close is not None:
                    close()
            finally:
                self.over(None)

        try:
            result.close = observed_close
        except (AttributeError, TypeError):
            return False
        if self.noted[0] != "HEAD":
            # Its bytes do not pass by here: they are as many as announced, else as the file has left.
            announced = any(name.lower() == "content-length" for name, _ in self.response_headers)
            self.response_size = None if announced else _rest_of_file(getattr(result, "filelike", None))
            self.first_byte = time.perf_counter() - self.started
        return True

    def __iter__(self) -> Iterator[bytes]:
        try:
            for chunk in self._iterable:
                try:
                    self._saw(chunk)
                except Exception as error:  # noqa: BLE001 - nothing of ours reaches the host
                    self._lose(error)
                yield chunk
        except GeneratorExit:
            raise
        except BaseException as error:
            self.over(error)
            raise
        self.over(None)

    def close(self) -> None:
        """Close what is wrapped, if it can be closed."""
        try:
            close = getattr(self._iterable, "close", None)
            self._iterable = None
            if close is not None:
                close()
        except BaseException as error:
            self.over(error)
            raise
        self.over(None)

    def __del__(self) -> None:
        self.over(None)  # an answer that nobody read to its end or closed

    def _saw(self, chunk: bytes) -> None:
        if self.first_byte is None and chunk:
            self.first_byte = time.perf_counter() - self.started
        if self.response_size is not None:
            self.response_size += len(chunk)
        if self._answer is not None:
            self._answer.feed(chunk)

    def over(self, error: BaseException | None) -> None:
        """Record the request, the first time that this is called."""
        call, self._call = self._call, None
        if call is None:
            return
        recorder, answering, environ, _ = call
        if self._lost:
            return
        try:
            self.elapsed = time.perf_counter() - self.started
            if error is not None:
                self.fail(error)
                if self._write is None:
                    answering(self, environ)
            # What waits in the queue must not keep the server's connection or the app's objects alive.
            self._write = None
            if self._answer is not None:
                self.response_body, self._answer = self._answer.kept(), None
            if self._tee is not None:
                self.request_size, self._tee = self._tee.seen, None
            if self._request is not None:
                kept, self._request = self._request, None
                self.request_body = kept.kept() if isinstance(kept, BodyStart) else kept.parts()
            recorder.finish(self)
        except Exception as failure:  # noqa: BLE001 - nothing of ours reaches the host
            recorder.fail(failure)

    def _lose(self, error: Exception) -> None:
        if not self._lost and self._call is not None:
            self._lost = True
            self._call[0].fail(error)


def _rest_of_file(file: Any) -> int | None:
    try:
        return max(0, os.fstat(file.fileno()).st_size - int(file.tell()))
    except Exception:  # noqa: BLE001 - the host's file may be anything; then nobody knows
        return None


class _SizedAnswer:
    """An answer that has a length, by which servers tell that one chunk is all."""

    __slots__ = ("_result", "_watch")

    def __init__(self, watch: _Watch, result: list[bytes]) -> None:
        self._watch = watch
        self._result = result

    def __len__(self) -> int:
        return len(self._result)

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._watch)

    def close(self) -> None:
        """Close what is wrapped, if it can be closed."""
        self._watch.close()
