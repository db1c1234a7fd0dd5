"""Observe any WSGI application: what every door onto WSGI shares."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from tollkeeper.capture.body import RequestTee, ResponseBody, SizedResponseBody, is_json
from tollkeeper.capture.exchange import Exchange, error_text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

    from tollkeeper.capture.recorder import Recorder

__all__ = ["ENVIRON_KEY", "WSGIObserver"]

ENVIRON_KEY = "tollkeeper.exchange"
MAX_LENGTH = 2**53


class WSGIObserver:
    """Wraps an application and records each of its requests.

    ``matched`` adds what only the framework knows, the route, when the answer starts.
    The bytes, headers, exceptions and timing of the application pass unchanged. Nothing of ours raises into it.
    """

    def __init__(
        self,
        app: WSGIApplication,
        recorder: Recorder,
        source: str,
        matched: Callable[[Exchange, WSGIEnvironment], None],
    ) -> None:
        self._app = app
        self._recorder = recorder
        self._source = source
        self._matched = matched

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer as the application does."""
        try:
            watch = _Watch(self._recorder, self._matched, environ, start_response, self._source)
        except Exception as error:  # noqa: BLE001 - nothing of ours reaches the host
            self._recorder.fail(error)
            return self._app(environ, start_response)
        try:
            result = self._app(environ, watch.start)
        except BaseException as error:
            watch.over(error)
            raise
        return watch.wrap(result)


class _Watch:
    """One request, from call to close."""

    __slots__ = (
        "_announced",
        "_chunks",
        "_environ",
        "_exchange",
        "_matched",
        "_recorder",
        "_size",
        "_start_response",
        "_tee",
    )

    def __init__(
        self,
        recorder: Recorder,
        matched: Callable[[Exchange, WSGIEnvironment], None],
        environ: WSGIEnvironment,
        start_response: StartResponse,
        source: str,
    ) -> None:
        self._recorder: Recorder | None = recorder
        self._matched = matched
        self._environ = environ
        self._start_response = start_response
        self._size: int | None = 0
        self._announced = ""
        self._chunks: list[bytes] | None = None
        self._tee: RequestTee | None = None
        self._exchange = _read(environ, source, recorder)
        if recorder.options.level == "bodies":
            limit = recorder.options.max_body_bytes
            if is_json(self._exchange.content_type) and (self._exchange.content_length or 0) <= limit:
                self._tee = environ["wsgi.input"] = RequestTee(environ["wsgi.input"], limit)
        environ[ENVIRON_KEY] = self._exchange

    def start(self, status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Callable[[bytes], object]:
        """Stand in for the server's ``start_response``."""
        begin = self._start_response
        write = begin(status, headers) if exc_info is None else begin(status, headers, exc_info)
        try:
            self._started(status, headers)
        except Exception as error:  # noqa: BLE001 - nothing of ours reaches the host
            self._fail(error)
            return write

        def observed_write(data: bytes) -> object:
            self.saw(data)
            return write(data)

        return observed_write

    def _started(self, status: str, headers: list[tuple[str, str]]) -> None:
        exchange = self._exchange
        exchange.status = int(status[:3])
        self._matched(exchange, self._environ)
        encoded = False
        for name, value in headers:
            lowered = name.lower()
            if lowered == "content-type":
                exchange.response_type = value
            elif lowered == "content-encoding":
                encoded = True
            elif lowered == "content-length":
                self._announced = value
        if self._recorder is None:
            return
        level = self._recorder.options.level
        if level != "metadata":
            exchange.response_headers = list(headers)
        if level == "bodies":
            self._chunks = [] if is_json(exchange.response_type) and not encoded else None

    def wrap(self, result: Iterable[bytes]) -> Iterable[bytes]:
        """The application's iterable, watched: the very same object where the server knows it by its type."""
        try:
            wrapper = self._environ.get("wsgi.file_wrapper")
            if isinstance(wrapper, type) and isinstance(result, wrapper) and self._hook_close(result):
                return result
            body = SizedResponseBody if hasattr(result, "__len__") else ResponseBody
            return body(result, self.saw, self.over)
        except Exception as error:  # noqa: BLE001 - nothing of ours reaches the host
            self._fail(error)
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
        self._size = None  # its bytes do not pass by here
        return True

    def saw(self, chunk: bytes) -> None:
        """Count a chunk on its way out, and keep it while there is room and reason."""
        if self._size is None or not isinstance(chunk, bytes):
            return
        self._size += len(chunk)
        if self._chunks is not None:
            if self._recorder is not None and self._size <= self._recorder.options.max_body_bytes:
                self._chunks.append(chunk)
            else:
                self._chunks = None

    def over(self, error: BaseException | None) -> None:
        """Record the request, the first time that this is called."""
        recorder, self._recorder = self._recorder, None
        if recorder is None:
            return
        try:
            exchange = self._exchange
            exchange.elapsed = time.perf_counter() - exchange.started
            if error is not None and exchange.exception is None:
                exchange.exception = error_text(error)
            announced = self._announced
            exchange.response_size = int(announced) if self._size is None and announced.isdecimal() else self._size
            if self._chunks:
                exchange.response_body = b"".join(self._chunks)
            if self._tee is not None:
                exchange.body = self._tee.whole(exchange.content_length)
            recorder.observe(exchange)
        except Exception as failure:  # noqa: BLE001 - nothing of ours reaches the host
            recorder.fail(failure)

    def _fail(self, error: Exception) -> None:
        recorder, self._recorder = self._recorder, None
        if recorder is not None:
            recorder.fail(error)


def _read(environ: WSGIEnvironment, source: str, recorder: Recorder) -> Exchange:
    get = environ.get
    path = (get("SCRIPT_NAME", "") + get("PATH_INFO", "")).encode("latin-1", "replace")
    exchange = Exchange(source, environ["REQUEST_METHOD"], path, started=time.perf_counter(), time=time.time())
    exchange.scheme = get("wsgi.url_scheme", "http")
    exchange.host = get("HTTP_HOST") or f"{get('SERVER_NAME', '')}:{get('SERVER_PORT', '')}"
    exchange.query = get("QUERY_STRING", "")
    exchange.peer = get("REMOTE_ADDR")
    exchange.referer = get("HTTP_REFERER")
    exchange.origin = get("HTTP_ORIGIN")
    exchange.user_agent = get("HTTP_USER_AGENT")
    exchange.authorization = get("HTTP_AUTHORIZATION")
    exchange.api_key = get("HTTP_X_API_KEY") or get("HTTP_APIKEY")
    exchange.content_type = get("CONTENT_TYPE") or ""
    length = get("CONTENT_LENGTH")
    if length and length.isdecimal() and int(length) <= MAX_LENGTH:
        exchange.content_length = int(length)
    if recorder.options.trust_proxy:
        forwarded = get("HTTP_X_FORWARDED_FOR", "").partition(",")[0].strip()
        exchange.peer = get("HTTP_X_REAL_IP") or forwarded or exchange.peer
    if recorder.options.level != "metadata":
        exchange.headers = _headers(environ)
    return exchange


def _headers(environ: WSGIEnvironment) -> list[tuple[str, str]]:
    headers = [
        (name[5:].replace("_", "-").title(), str(value)) for name, value in environ.items() if name[:5] == "HTTP_"
    ]
    for name, key in (("Content-Type", "CONTENT_TYPE"), ("Content-Length", "CONTENT_LENGTH")):
        if environ.get(key):
            headers.append((name, environ[key]))
    return headers
