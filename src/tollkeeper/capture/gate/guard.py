"""What a door asks its gate: whose call a request is, which, and whether it may be made."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from copy import copy
from inspect import isawaitable
from typing import TYPE_CHECKING, Any, TypeAlias

from msgspec import Struct

from tollkeeper.capture.document import UNMATCHED
from tollkeeper.capture.gate.answer import refuse, told_limits
from tollkeeper.capture.gate.counted import note_units, note_verdict
from tollkeeper.capture.gate.requirement import Requirement
from tollkeeper.capture.identify import default_consumer
from tollkeeper.events.fingerprint import fingerprint
from tollkeeper.events.lease import Denial
from tollkeeper.leases.lease import UNCOUNTED, Verdict

if TYPE_CHECKING:
    from tollkeeper.capture.exchange import Exchange
    from tollkeeper.capture.gate.answer import Refusal
    from tollkeeper.capture.gate.gate import Gate
    from tollkeeper.capture.options import CaptureOptions
    from tollkeeper.leases.lease import CallKey
    from tollkeeper.log import QuietLog

__all__ = ["Asked", "Function", "Guard"]

Function: TypeAlias = Callable[[Any], Any]

SHORT, ROUTE, METHOD = 255, 1024, 32
NO_KEY = Verdict(
    counted=True,
    denial=Denial(
        status=401,
        code="unknown_api_key",
        detail="The call has no API key: send one, as X-API-Key or as a bearer token.",
    ),
)
ANY = Requirement()
NOTHING: Mapping[str, Any] = {}


class Asked(Struct, kw_only=True):
    """A request as its door can tell it before the view runs; ``endpoint`` is its whole template, None when unknown.

    ``view`` makes what the functions of the host get. ``preflight`` is a browser's question whether it may call at all.
    """

    method: str
    endpoint: str | None
    api_key: str | None
    authorization: str | None
    view: Callable[[], Any]
    preflight: bool = False


class Guard:
    """The gate of a door, with the options of the door that it needs; nothing of it raises, and it is safe in threads.

    ``key`` is the host's function that gives the secret of a request, in the place of the headers. With ``headers``,
    calls that are admitted are told of their limits, too.
    """

    def __init__(
        self, gate: Gate, options: CaptureOptions, log: QuietLog, *, key: Function | None = None, headers: bool = False
    ) -> None:
        self.gate = gate
        self._log = log
        self.headers = headers
        self._options = options
        self._own_key = key is not None
        known = [(name, one) for name, one in options.asked if name in {"api", "api_version"}]
        self._functions = (*known, *([("key", key)] if key else []))

    def adapted(self, adapt: Callable[[Function], Function]) -> Guard:
        """The same gate, where the host's functions are called in another way."""
        if not self._functions:
            return self
        guard = copy(self)
        guard._functions = tuple([(name, adapt(one)) for name, one in self._functions])  # noqa: SLF001 - its own copy
        return guard

    def check(self, ask: Callable[[], Asked], watched: Exchange | None, wanted: Requirement = ANY) -> Verdict:
        """Decide about a request, once, and note that on its exchange; it may wait for the service.

        ``watched`` is the innermost exchange of the request.
        """
        try:
            exchange = self._own(watched)
            if exchange is not None and exchange.gated is not None:
                note_units(exchange, wanted.units)
                return UNCOUNTED
            asked = ask()
            told = self._told(asked, self._answers(asked), wanted)
            verdict = told if isinstance(told, Verdict) else self.gate.admit(told, wanted.units)
            return self._noted(exchange, asked, verdict, wanted)
        except Exception as error:  # noqa: BLE001 - nothing of ours reaches the host
            return self.gate.failed(error)

    async def check_async(
        self, ask: Callable[[], Asked], watched: Exchange | None, wanted: Requirement = ANY
    ) -> Verdict:
        """The same on an event loop, where the host's functions may be coroutine functions."""
        try:
            exchange = self._own(watched)
            if exchange is not None and exchange.gated is not None:
                note_units(exchange, wanted.units)
                return UNCOUNTED
            asked = ask()
            told = self._told(asked, [await _awaited(answer) for answer in self._answers(asked)], wanted)
            verdict = told if isinstance(told, Verdict) else await self.gate.admit_async(told, wanted.units)
            return self._noted(exchange, asked, verdict, wanted)
        except Exception as error:  # noqa: BLE001 - nothing of ours reaches the host
            return self.gate.failed(error)

    def refusal(self, verdict: Verdict) -> Refusal | None:
        """The answer in the place of the view's; None for a call that is admitted."""
        return None if verdict.denial is None else refuse(verdict.denial, verdict)

    def told_limits(self, verdict: Verdict) -> list[tuple[str, str]]:
        """Headers for the answer of a call that is admitted, where that was asked for."""
        return told_limits(verdict) if self.headers and verdict.denial is None else []

    def _answers(self, asked: Asked) -> list[Any]:
        """What the host's functions say, one after the other, or the exception that it ended with."""
        if not self._functions or asked.preflight:
            return []
        view = asked.view()
        return [_answer(function, view) for _, function in self._functions]

    def _own(self, exchange: Exchange | None) -> Exchange | None:
        while exchange is not None and exchange.log is not self._log:  # others may watch it, too
            exchange = exchange.outer
        return exchange

    def _told(self, asked: Asked, answers: list[Any], wanted: Requirement) -> CallKey | Verdict:
        """Of which calls the request is one; a verdict when there is nothing to ask."""
        options = self._options
        endpoint = wanted.endpoint or asked.endpoint
        if asked.preflight or options.excludes(asked.method, endpoint or UNMATCHED, 0):
            return UNCOUNTED
        told = dict(zip([name for name, _ in self._functions], answers, strict=True)) if answers else NOTHING
        if self._own_key:
            consumer = self._consumer(told["key"])
        else:
            known = default_consumer(asked.api_key, asked.authorization)
            consumer = None if known is None else known.key
        if consumer is None:
            return NO_KEY
        for answer in told.values():
            if isinstance(answer, Exception):
                raise answer
        return (
            consumer,
            _text(told.get("api") or options.api, SHORT),
            _text(told.get("api_version") or options.api_version, SHORT),
            _text(endpoint, ROUTE),
            _text(asked.method, METHOD),
        )

    def _consumer(self, secret: Any) -> str | None:
        error = secret
        if not isinstance(secret, Exception):
            try:
                return fingerprint(str(secret)) if secret else None
            except Exception as failed:  # noqa: BLE001 - of a type of the host's
                error = failed
        # What a caller may have sent to break the function must not let them in.
        self._log.tell("gate_key", "Tollkeeper's gate takes a call for one without a key: gate_key fails.", error=error)
        return None

    def _noted(self, exchange: Exchange | None, asked: Asked, verdict: Verdict, wanted: Requirement) -> Verdict:
        if exchange is not None:
            note_verdict(exchange, verdict, self.gate, wanted.units)
            if verdict.denial is not None:  # most frameworks will not hear of it
                exchange.route = exchange.route or asked.endpoint
        return verdict


def _answer(function: Function, view: Any) -> Any:
    try:
        return function(view)
    except Exception as error:  # noqa: BLE001 - a function of the host's; told in its turn
        return error


async def _awaited(answer: Any) -> Any:
    try:
        return await answer if isawaitable(answer) else answer
    except Exception as error:  # noqa: BLE001 - a function of the host's; told in its turn
        return error


def _text(text: Any, limit: int) -> str | None:
    """What the service takes, and its store keeps: one text that it cannot read would spoil the request for all."""
    if text is None:
        return None
    if type(text) is str and len(text) <= limit and text.isascii() and "\0" not in text:
        return text
    return str(text).replace("\0", "").encode("utf-8", "replace").decode()[:limit]
