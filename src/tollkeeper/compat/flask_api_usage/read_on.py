"""Read the JSON body of a request that the app did not read, once its answer is out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tollkeeper.capture.environ import ENVIRON_KEY

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

    from tollkeeper.capture.exchange import Exchange

__all__ = ["ReadOn", "is_json"]

MAX_DIGITS = 12


class ReadOn:
    """Wraps an application below what observes it, which then sees JSON bodies of up to ``max_bytes`` whole.

    The answer passes unchanged, and before anything is read: a client that never sends what it announced waits for
    nothing, but keeps its worker as long as the server lets it.
    """

    def __init__(self, app: WSGIApplication, max_bytes: int) -> None:
        self._app = app
        self._max_bytes = max_bytes

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer as the application does."""
        result = self._app(environ, start_response)
        exchange: Any = environ.get(ENVIRON_KEY)
        if exchange is None:
            return result
        try:
            wrapper = environ.get("wsgi.file_wrapper")
            size = _announced(environ)
            # A file is known to the server by its type.
            if 0 < size <= self._max_bytes and not (isinstance(wrapper, type) and isinstance(result, wrapper)):
                return _Answer(result, exchange, environ["wsgi.input"], size)
        except Exception as error:  # noqa: BLE001 - nothing of ours reaches the host
            _tell(exchange, error)
        return result


class _Answer:
    def __init__(self, result: Iterable[bytes], exchange: Exchange, tee: Any, size: int) -> None:
        self._result = result
        self._exchange = exchange
        self._tee = tee
        self._size = size

    def __iter__(self) -> Iterator[bytes]:
        try:
            yield from self._result
        finally:
            self._read_on()

    def close(self) -> None:
        """Close what is wrapped, if it can be closed."""
        self._read_on()
        close = getattr(self._result, "close", None)
        if close is not None:
            close()

    def _read_on(self) -> None:
        tee, self._tee = self._tee, None
        try:
            if tee is not None and tee.seen < self._size:
                tee.read(self._size - tee.seen)
        except Exception as error:  # noqa: BLE001 - nothing of ours reaches the host
            _tell(self._exchange, error)


def _announced(environ: WSGIEnvironment) -> int:
    """The length of a body of JSON; 0 of any other."""
    length = environ.get("CONTENT_LENGTH") or ""
    kind = (environ.get("CONTENT_TYPE") or "").partition(";")[0].strip().lower()
    return int(length) if is_json(kind) and length.isdecimal() and len(length) <= MAX_DIGITS else 0


def _tell(exchange: Exchange, error: Exception) -> None:
    exchange.log.tell("observe", "The body of a request could not be read.", error=error)


def is_json(mimetype: str) -> bool:
    """Whether a mimetype, in lower case and without parameters, is one of JSON."""
    return mimetype == "application/json" or mimetype.endswith("+json")
