"""What the request's thread notes down: references and numbers, nothing parsed, so that it costs next to nothing."""

from __future__ import annotations

from decimal import Decimal
from time import perf_counter, time
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import Raw, Struct

from tollkeeper.capture.failure import Failure, note_failure
from tollkeeper.capture.identify import as_consumer
from tollkeeper.events.ids import new_id

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from tollkeeper.events.event import Consumer
    from tollkeeper.log import QuietLog

__all__ = ["Exchange", "Headers", "RequestFacts"]

# An Exchange, its strings' headers and its place in the queue, by sys.getsizeof: bounds the queue, needs no precision.
FIXED_WEIGHT = 1024
MAX_UNITS = Decimal(10**6)
MICRO = Decimal(1).scaleb(-6)
MAX_VARIABLE_BYTES = 16 * 2**10

Headers = list[tuple[str, str]]


class RequestFacts(Struct, kw_only=True, gc=False):
    """The request as every protocol can tell it.

    ``path`` is percent-decoded, as bytes, with the prefix ``mount`` under which the app is mounted. ``api_key`` and
    ``authorization`` are secrets: they leave the process only as a fingerprint and a scheme. ``forwarded`` is the
    client's address in the words of a proxy, to be believed only when the app says so.
    """

    method: str
    path: bytes
    mount: str = ""
    scheme: str = "http"
    host: str = ""
    query: str = ""
    peer: str | None = None
    forwarded: str | None = None
    referer: str | None = None
    origin: str | None = None
    user_agent: str | None = None
    authorization: str | None = None
    api_key: str | None = None
    content_type: str = ""
    content_length: int | None = None
    headers: Headers | None = None


class Exchange:
    """One request and its answer; a door fills it in on the request's thread and hands it over once.

    ``read(exchange)`` gives the facts of the request later, off its thread, from what the protocol ``noted``, one text
    or a tuple of them, and ``request_headers`` where headers are kept, one text or pairs. ``started`` is seconds of
    ``perf_counter``, ``time`` is POSIX; ``elapsed`` and ``first_byte`` are seconds from ``started``. ``detailed`` says
    that headers and bodies are kept, of a body its beginning (of multipart a summary), while ``size`` counts all of it.
    ``status`` is a number or a status line. ``route`` is a template (``/users/{id}``) below the mount, or None when
    nothing matched. ``identified`` says that the host decided who called, so that no default applies. ``outer`` is the
    exchange of the app that this one is mounted in. ``note`` is whatever else its door needs to make more of it than an
    event, ``gated`` what the gate has counted of it already. It is ``plain`` while it has nothing but what all requests
    have: no headers, body, variables or failure, and is not left out. Once ``finished``, nothing changes it any more.
    """

    # Most requests have none of these: what stands here costs them nothing.
    detailed = False
    skipped = False
    finished = False
    failure: Failure | None = None
    variables: dict[str, Any] | None = None
    response_headers: Sequence[tuple[Any, Any]] = ()
    request_headers: Any = ()
    request_body: bytes | list[dict[str, object]] | None = None
    request_size: int | None = None
    response_body: bytes | None = None
    identified = False
    consumer: Consumer | None = None
    api: str | None = None
    api_version: str | None = None
    units: Decimal | None = None
    asked = False
    event_id: str | None = None
    note: Any = None
    gated: Any = None
    route: str | None = None
    elapsed = 0.0

    def __init__(
        self,
        source: str,
        noted: str | tuple[Any, ...],
        read: Callable[[Any], RequestFacts],
        log: QuietLog,
        outer: Exchange | None,
    ) -> None:
        self.started = perf_counter()
        self.time = time()
        self.source = source
        self.noted: Any = noted
        self.read = read
        self.log = log
        self.outer = outer
        # These are read of every request, and are found faster here.
        self.plain = True
        self.first_byte: float | None = None
        self.status: int | str = 500  # what a server answers when the app raises before it has said anything
        self.response_size: int | None = None

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {self.source!r}>"  # what it holds is for no log of the host

    @property
    def id(self) -> str:
        """The id that the event will have."""
        if self.event_id is None:
            self.event_id = new_id()
        return self.event_id

    def skip(self) -> None:
        """Leave this request out: it is counted in ``stats().excluded`` and nowhere else."""
        self.skipped = True
        self.plain = False

    def set_consumer(self, consumer: object) -> None:
        """Say who called, instead of ``identify``; takes what ``identify`` may return, else raises TypeError."""
        self.consumer = as_consumer(consumer)
        self.identified = True

    def set_units(self, units: float | str | Decimal) -> None:
        """Say how much this request counts; raises ValueError unless it is from 0 to below 1,000,000."""
        # A float is what its shortest text says: 0.1 is a tenth.
        number = units if isinstance(units, Decimal) else Decimal(str(units))
        if not (number.is_finite() and 0 <= number < MAX_UNITS):
            raise ValueError(f"units is {units!r}: give a number from 0 to below {MAX_UNITS}.")
        if self.gated is not None and self.gated.refused:
            return
        self.units = min(number.quantize(MICRO), MAX_UNITS - MICRO).normalize()
        if self.gated is not None:
            self.gated = self.gated.recount(self.units)

    def track(self, **variables: object) -> None:
        """Add variables to the event; what JSON cannot say is told by its ``repr``."""
        if self.variables is None:
            self.variables = {}
            self.plain = False
        for name, value in variables.items():
            self.variables[name] = value if isinstance(value, str | int | float | None) else _snapshot(value)

    def fail(self, error: BaseException) -> None:
        """Note the exception that the request ends with; the first one counts."""
        if self.failure is None:
            self.failure = note_failure(error)
            self.plain = False

    def weight(self) -> int:
        """Bytes that it holds in memory, about: what a queue that is bounded in bytes counts."""
        noted = self.noted
        weight = FIXED_WEIGHT + (len(noted) if type(noted) is str else _length(noted))
        for _, value in self.response_headers:
            weight += 100 + len(value)
        if self.plain:
            return weight
        if self.detailed:
            headers = self.request_headers
            weight += len(headers) if type(headers) is str else sum([100 + len(value) for _, value in headers])
            weight += len(self.response_body or b"")
            # Of multipart, a summary with the names of its parts.
            body = self.request_body
            weight += len(body) if isinstance(body, bytes) else FIXED_WEIGHT * len(body or ())
        if self.failure is not None:
            weight += len(self.failure.message) + 100 * len(self.failure.frames)
        if self.variables:
            weight += sum([64 + len(value) for value in self.variables.values() if isinstance(value, str | Raw)])
        return weight


def _length(noted: Iterable[Any]) -> int:
    try:
        return len("".join(noted))  # faster than to add up their lengths
    except TypeError:
        return sum([len(text) for text in noted if isinstance(text, str | bytes)])


def _snapshot(value: object) -> object:
    # Now, not later: the app may change the value, and must not be kept alive by it.
    try:
        encoded = msgspec.json.encode(value)
    except Exception:  # noqa: BLE001 - the host's own types may do anything
        return repr(value)[:MAX_VARIABLE_BYTES]
    return (
        Raw(encoded) if len(encoded) <= MAX_VARIABLE_BYTES else encoded[:MAX_VARIABLE_BYTES].decode("utf-8", "ignore")
    )
