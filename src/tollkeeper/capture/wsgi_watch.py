"""One request as it passes between a WSGI application and its server."""

from __future__ import annotations

from time import perf_counter, time
from typing import TYPE_CHECKING, Any

from tollkeeper.capture.body import BodyStart, RequestTee, keep_answer, keep_request, tee_request
from tollkeeper.capture.environ import ENVIRON_KEY, note_environ, note_headers, read_environ
from tollkeeper.capture.exchange import Exchange
from tollkeeper.capture.wsgi_answers import call_when_closed, rest_of_file

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from _typeshed.wsgi import StartResponse, WSGIEnvironment

    from tollkeeper.capture.multipart import MultipartSummary
    from tollkeeper.capture.recorder import Recorder
    from tollkeeper.capture.wsgi import WSGIObserver

__all__ = ["Watch"]


class Watch(Exchange):
    """One request, from call to close; to the server it is the iterable of the answer."""

    environ: WSGIEnvironment | None = None  # until it is recorded, or counted as lost
    begin: Any = None
    iterable: Any = None
    answer: BodyStart | None = None
    request: BodyStart | MultipartSummary | None = None
    tee: RequestTee | None = None
    server_write: Any = None

    def __init__(self, observer: WSGIObserver, environ: WSGIEnvironment, begin: StartResponse) -> None:
        # As Exchange does, without the call.
        self.started = perf_counter()
        self.time = time()
        self.source = observer.source
        self.noted = note_environ(environ)
        self.read = read_environ
        self.log = observer.log
        self.outer = environ.get(ENVIRON_KEY)
        self.plain = True
        self.first_byte = None
        self.status = 500
        self.observer = observer
        self.begin = begin
        self.response_size = 0
        self.environ = environ

    def read_along(self, environ: WSGIEnvironment, recorder: Recorder) -> None:
        """Keep the headers and the body of the request where they are wanted, and count a body of unknown length."""
        if recorder.keeps_details and recorder.is_sampled():
            self.detailed, self.plain = True, False
            self.request_headers = note_headers(environ)
            if recorder.options.level == "bodies":
                self.request = keep_request(environ.get("CONTENT_TYPE") or "", recorder.options)
        if self.request is not None or "HTTP_TRANSFER_ENCODING" in environ:
            self.plain = False
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
            if self.environ is not None:
                self.observer.answering(self, self.environ)
                if self.detailed:
                    self.expect_body()
        except Exception as error:  # noqa: BLE001 - nothing of ours reaches the host
            self.lose(error)
        return self.write

    def expect_body(self) -> None:
        """Have the body of the answer kept, where that is wanted."""
        options = self.observer.recorder.options
        if self.response_body is None and options.level == "bodies":
            self.answer = keep_answer(self.response_headers, options)

    def write(self, data: bytes) -> object:
        """Stand in for the server's ``write``, which few applications still call."""
        try:
            self.note_chunk(data)
        except Exception as error:  # noqa: BLE001 - nothing of ours reaches the host
            self.lose(error)
        return self.server_write(data)

    def follow_file(self, result: Any) -> bool:
        """Be told when a file is closed that the server knows by its type, and sends by itself (``sendfile``).

        False when nobody can be told.
        """
        if not call_when_closed(result, self.over):
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
                    if not self.plain and self.answer is not None:
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
        if self.environ is not None:
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
        if self.environ is not None:
            self.over(None)
        elif self.begin is not None:  # it was lost
            self.let_go()

    def __del__(self) -> None:
        if self.environ is not None:  # an answer that nobody read to its end or closed
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
        environ, self.environ = self.environ, None
        if environ is None:
            self.let_go()
            return
        recorder = self.observer.recorder
        try:
            self.elapsed = perf_counter() - self.started
            if error is not None:
                self.fail(error)
                if self.server_write is None:  # nothing of an answer has left, and what will is the server's own
                    self.response_size = None
                    self.observer.answering(self, environ)
            # As let_go() does, without the call.
            self.begin = self.server_write = None
            if not self.plain:
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
        environ, self.environ = self.environ, None
        if environ is not None:
            self.observer.recorder.fail(error)
