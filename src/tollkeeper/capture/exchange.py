"""What the request's thread notes down: references and numbers, nothing parsed, so that it costs next to nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tollkeeper.events.event import Consumer

__all__ = ["Exchange", "error_text"]

# An Exchange, its strings' headers and its place in the queue, by sys.getsizeof: bounds the queue, needs no precision.
FIXED_WEIGHT = 1024
MAX_ERROR_CHARS = 8192

Headers = list[tuple[str, str]]


class Exchange:
    """One request and its answer; a door fills it in on the request's thread and hands it over once.

    ``path`` is the percent-decoded path as bytes, prefix of the mount included; ``route`` is a template
    (``/users/{id}``) or None when nothing matched. ``started`` and ``elapsed`` are seconds of ``perf_counter``,
    ``time`` is POSIX. ``headers`` and bodies stay None unless they are to be kept. ``api_key`` and
    ``authorization`` are secrets: they leave here only as a fingerprint and a scheme.
    ``identified`` says that the host's own ``identify`` decided, so that no default applies.
    """

    __slots__ = (
        "api",
        "api_key",
        "api_version",
        "authorization",
        "body",
        "consumer",
        "content_length",
        "content_type",
        "elapsed",
        "exception",
        "headers",
        "host",
        "identified",
        "method",
        "origin",
        "path",
        "peer",
        "query",
        "referer",
        "response_body",
        "response_headers",
        "response_size",
        "response_type",
        "route",
        "scheme",
        "source",
        "started",
        "status",
        "time",
        "user_agent",
    )

    def __init__(self, source: str, method: str, path: bytes, *, started: float, time: float) -> None:
        self.source = source
        self.method = method
        self.path = path
        self.started = started
        self.time = time
        self.elapsed = 0.0
        self.scheme = self.host = self.query = ""
        self.peer: str | None = None
        self.referer: str | None = None
        self.origin: str | None = None
        self.user_agent: str | None = None
        self.authorization: str | None = None
        self.api_key: str | None = None
        self.content_type = ""
        self.content_length: int | None = None
        self.headers: Headers | None = None
        self.body: bytes | None = None
        self.status = 500  # what a server answers when the app raises before it has said anything
        self.response_type = ""
        self.response_size: int | None = None
        self.response_headers: Headers | None = None
        self.response_body: bytes | None = None
        self.route: str | None = None
        self.exception: str | None = None
        self.identified = False
        self.consumer: Consumer | None = None
        self.api: str | None = None
        self.api_version: str | None = None

    def weight(self) -> int:
        """Bytes that it holds in memory, about: what a queue that is bounded in bytes counts."""
        weight = FIXED_WEIGHT + len(self.path) + len(self.query)
        weight += len(self.user_agent or "") + len(self.referer or "") + len(self.exception or "")
        for headers in (self.headers, self.response_headers):
            if headers:
                weight += sum([128 + len(value) for _, value in headers])
        return weight + len(self.body or b"") + len(self.response_body or b"")


def error_text(error: BaseException) -> str:
    """``repr(error)``, cut; the name of its class where ``repr`` itself fails. Holds no reference to the error."""
    try:
        return repr(error)[:MAX_ERROR_CHARS]
    except Exception:  # noqa: BLE001 - the host's own __repr__ may do anything
        return type(error).__name__
