"""Observe any WSGI application: what every door onto WSGI shares."""

from __future__ import annotations

from time import perf_counter
from typing import TYPE_CHECKING, Any

from tollkeeper.capture.body import BodyStart, RequestTee, keep_answer, keep_request, tee_request
from tollkeeper.capture.current import exchange_in_hand
from tollkeeper.capture.environ import note_environ, note_headers, read_environ
from tollkeeper.capture.exchange import Exchange
from tollkeeper.capture.wsgi_answers import SizedAnswer, call_when_closed, rest_of_file

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

    from tollkeeper.capture.multipart import MultipartSummary
    from tollkeeper.capture.recorder import Recorder

__all__ = ["ENVIRON_KEY", "WSGIObserver", "Watch"]

ENVIRON_KEY = "tollkeeper.exchange"


class WSGIObserver:
    """Wraps an application and records each of its requests.

    ``answering`` adds what only the framework knows, the route, when the answer starts or the app raises. ``returned``
    is asked when the app has returned: True says that all is known and recorded, so that nobody follows the answer.
    The bytes, headers, exceptions and timing of the application pass unchanged. Nothing of ours raises into it.
    """

    def __init__(
        self,
        app: WSGIApplication,
        recorder: Recorder,
        source: str,
        answering: Callable[[Exchange, WSGIEnvironment], None],
        *,
        returned: Callable[[Watch, Iterable[bytes]], bool] | None = None,
        watch: type[Watch] | None = None,
    ) -> None:
        self._app = app
        self._recorder = recorder
        self._log = recorder.log
        self._keeps_details = recorder.keeps_details
        self._source = source
        self._answering = answering
        self._returned = returned
        self._watch = watch or Watch

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer as the application does."""
        watch = None
        try:
            watch = self._watch(self._source, note_environ(environ), read_environ, self._log, environ.get(ENVIRON_KEY))
            watch.call = (self._recorder, self._answering, environ)
            watch.begin = start_response
            watch.response_size = 0
            environ[ENVIRON_KEY] = watch
            exchange_in_hand.set(watch)
            if self._keeps_details or "HTTP_TRANSFER_ENCODING" in environ:
                watch.read_along(environ, self._recorder)
        except Exception as error:  # noqa: BLE001 - nothing of ours reaches the host
            if watch is None:
                self._recorder.fail(error)
            else:
                watch.lose(error)
                watch.begin = None
            return self._app(environ, start_response)
        try:
            result = self._app(environ, watch.start)
        except BaseException as error:
            watch.over(error)
            raise
        try:
            if self._returned is not None and self._returned(watch, result):
                return result
            wrapper = environ.get("wsgi.file_wrapper")
            if wrapper is not None and watch.follow_file(result, wrapper):
                return result
            watch.iterable = result
            return SizedAnswer(watch, result) if hasattr(result, "__len__") else watch  # type: ignore[arg-type]  # it has
        except Exception as error:  # noqa: BLE001 - nothing of ours reaches the host
            watch.lose(error)
            return result


class Watch(Exchange):
    """One request, from call to close; to the server it is the iterable of the answer."""

    call: tuple[Recorder, Any, WSGIEnvironment] | None = None  # until it is recorded, or counted as lost
    begin: Any = None
    iterable: Any = None
    answer: BodyStart | None = None
    request: BodyStart | MultipartSummary | None = None
    tee: RequestTee | None = None
    server_write: Any = None

    def read_along(self, environ: WSGIEnvironment, recorder: Recorder) -> None:
        """Keep the headers and the body of the request where they are wanted, and count a body of unknown length."""
        if recorder.keeps_details and recorder.is_sampled():
            self.detailed = True
            self.request_headers = note_headers(environ)
            if recorder.options.level == "bodies":
                self.request = keep_request(environ.get("CONTENT_TYPE") or "", recorder.options)
        if self.request is not None or "HTTP_TRANSFER_ENCODING" in environ:
            self.tee = environ["wsgi.input"] = tee_request(environ["wsgi.input"], self.request, recorder.trouble)

    def start(self, status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Callable[[bytes], object]:
        """Stand in for the server's ``start_response``."""
        begin = self.begin
        if begin is None:
            raise RuntimeError("start_response was called after the end of the answer")  # no server would take it
        self.server_write = begin(status, headers) if exc_info is None else begin(status, headers, exc_info)
        try:
            self.status = status
            self.response_headers = tuple(headers)
            if self.call is not None:
                recorder, answering, environ = self.call
                answering(self, environ)
                if self.detailed and self.response_body is None and recorder.options.level == "bodies":
                    self.answer = keep_answer(self.response_headers, recorder.options)
        except Exception as error:  # noqa: BLE001 - nothing of ours reaches the host
            self.lose(error)
        return self.write

    def write(self, data: bytes) -> object:
        """Stand in for the server's ``write``, which few applications still call."""
        try:
            self.note_chunk(data)
        except Exception as error:  # noqa: BLE001 - nothing of ours reaches the host
            self.lose(error)
        return self.server_write(data)

    def follow_file(self, result: Any, wrapper: Any) -> bool:
        """Be told when a file is closed that the server knows by its type, and sends by itself (``sendfile``).

        False when it is none, or nobody can be told.
        """
        if not (isinstance(wrapper, type) and isinstance(result, wrapper) and call_when_closed(result, self.over)):
            return False
        self.response_size = 0
        if read_environ(self).method != "HEAD":
            # Its bytes do not pass by here: they are as many as announced, else as the file has left.
            announced = any(name.lower() == "content-length" for name, _ in self.response_headers)
            self.response_size = None if announced else rest_of_file(getattr(result, "filelike", None))
            self.first_byte = perf_counter() - self.started
        return True

    def __iter__(self) -> Iterator[bytes]:
        try:
            for chunk in self.iterable:
                try:
                    if self.first_byte is None and chunk:
                        self.first_byte = perf_counter() - self.started
                    if self.detailed and self.answer is not None:
                        self.answer.feed(chunk)
                    self.response_size += len(chunk)  # type: ignore[operator]  # a number until it is over
                except Exception as error:  # noqa: BLE001 - nothing of ours reaches the host
                    self.lose(error)
                yield chunk
        except GeneratorExit:
            raise
        except BaseException as error:
            self.over(error)
            raise
        if self.call is not None:
            self.over(None)

    def close(self) -> None:
        """Close what is wrapped, if it can be closed."""
        try:
            close = getattr(self.iterable, "close", None)
            self.iterable = None
            if close is not None:
                close()
        except BaseException as error:
            self.over(error)
            raise
        if self.call is not None:
            self.over(None)
        elif self.begin is not None:  # it was lost
            self.let_go()

    def __del__(self) -> None:
        if self.call is not None:  # an answer that nobody read to its end or closed
            self.over(None)

    def note_chunk(self, chunk: bytes) -> None:
        """Take a part of the answer into account."""
        if self.first_byte is None and chunk:
            self.first_byte = perf_counter() - self.started
        if self.answer is not None:
            self.answer.feed(chunk)
        self.response_size += len(chunk)  # type: ignore[operator]  # a number until it is over

    def over(self, error: BaseException | None) -> None:
        """Record the request, the first time that this is called."""
        call, self.call = self.call, None
        if call is None:
            self.let_go()
            return
        recorder, answering, environ = call
        try:
            self.elapsed = perf_counter() - self.started
            if error is not None:
                self.fail(error)
                if self.server_write is None:  # nothing of an answer has left, and what will is the server's own
                    self.response_size = None
                    answering(self, environ)
            # As let_go() does, without the call.
            self.begin = self.server_write = None
            if self.detailed or self.tee is not None:
                self.keep_bodies()
            recorder.finish(self)
        except Exception as failure:  # noqa: BLE001 - nothing of ours reaches the host
            recorder.fail(failure)

    def let_go(self) -> None:
        """What waits in the queue, and what that leads to, must keep no connection of the server alive."""
        self.begin = self.server_write = None

    def keep_bodies(self) -> None:
        """Take down what was seen of the bodies so far, and look at them no more."""
        if self.answer is not None:
            self.response_body, self.answer = self.answer.kept(), None
        if self.tee is not None:
            self.request_size, self.tee = self.tee.seen, None
        if self.request is not None:
            kept, self.request = self.request, None
            self.request_body = kept.kept() if isinstance(kept, BodyStart) else kept.parts()

    def lose(self, error: Exception) -> None:
        """Count it as lost, once, instead of recording it."""
        call, self.call = self.call, None
        if call is not None:
            call[0].fail(error)
