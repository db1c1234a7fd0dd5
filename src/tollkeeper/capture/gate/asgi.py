"""Ask the gate about a request as an ASGI scope tells it, and refuse it there."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, TypeAlias

from msgspec import Struct

from tollkeeper.capture.asgi_types import Scope
from tollkeeper.capture.gate.guard import Asked
from tollkeeper.capture.request import RequestView
from tollkeeper.capture.scope import SCOPE_KEY, header_pairs

if TYPE_CHECKING:
    from tollkeeper.capture.asgi_types import ASGIApp, Message, Receive, Send
    from tollkeeper.capture.exchange import Exchange
    from tollkeeper.capture.gate.answer import Refusal
    from tollkeeper.capture.gate.guard import Guard
    from tollkeeper.capture.gate.requirement import Requirement

__all__ = ["ASGIGate", "InHand", "RefusedError", "give_back", "in_hand"]

Route: TypeAlias = Callable[[Scope], str | None]

SHUTDOWN = frozenset({"lifespan.shutdown.complete", "lifespan.shutdown.failed"})


class InHand(Struct, frozen=True):
    """The request that is being answered; ``before`` is its scope before the framework changed it.

    ``route`` tells its whole template, or None when nobody can.
    """

    scope: Scope
    before: Scope
    route: Route

    @property
    def exchange(self) -> Exchange | None:
        """The innermost exchange of it."""
        return self.before.get(SCOPE_KEY)

    def asked(self) -> Asked:
        """What to ask about it."""
        scope = self.before
        found = {bytes(name).lower(): value for name, value in reversed(header_pairs(scope["headers"]))}

        def header(name: bytes) -> str | None:
            value = found.get(name)
            return value.decode("latin-1") if value else None

        try:
            endpoint = self.route(scope)
        except Exception:  # noqa: BLE001 - a framework, or a function of the host's, that cannot tell it now
            endpoint = None
        method = scope["method"]
        return Asked(
            method=method,
            endpoint=endpoint,
            api_key=header(b"x-api-key") or header(b"apikey"),
            authorization=header(b"authorization"),
            view=lambda: RequestView.of_scope(scope),
            preflight=method == "OPTIONS" and b"access-control-request-method" in found,
        )


in_hand: ContextVar[InHand | None] = ContextVar("tollkeeper.in_hand", default=None)


class RefusedError(Exception):
    """A call may not be made, in a view whose framework we know no answer of; our layer around it answers."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.line)
        self.refusal = refusal


class ASGIGate:
    """An ASGI application that answers as ``app`` does, or refuses the call.

    Without ``wanted`` it only shows requests to the views that ask by themselves. ``guard`` gives the guard, or None
    while there is none; ``route`` the whole template of a request, None when nobody can tell. Leases are given back
    when the server shuts down. ``app`` is what is wrapped, as elsewhere.
    """

    def __init__(
        self,
        app: ASGIApp,
        guard: Callable[[], Guard | None],
        route: Route,
        wanted: Requirement | None,
    ) -> None:
        self.app = app
        self._guard = guard
        self._route = route
        self._wanted = wanted

    async def __call__(self, scope: Any, receive: Receive, send: Send) -> None:
        """Answer as the application does, unless the call may not be made."""
        guard = self._guard()
        if guard is None:
            await self.app(scope, receive, send)
        elif scope.get("type") == "http":
            await self._answer(guard, scope, receive, send)
        else:
            await self.app(scope, receive, _releasing(guard, send) if scope.get("type") == "lifespan" else send)

    async def _answer(self, guard: Guard, scope: Scope, receive: Receive, send: Send) -> None:
        request = InHand(scope, dict(scope), self._route)
        in_hand.set(request)
        if self._wanted is not None:
            verdict = await guard.check_async(request.asked, request.exchange, self._wanted)
            refusal = guard.refusal(verdict)
            if refusal is not None:
                await _send(refusal, scope, send)
                return
            told = guard.told_limits(verdict)
            send = _telling(send, told) if told else send
        try:
            await self.app(scope, receive, send)
        except RefusedError as error:
            await _send(error.refusal, scope, send)


async def _send(refusal: Refusal, scope: Scope, send: Send) -> None:
    headers = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in refusal.headers]
    await send({"type": "http.response.start", "status": refusal.status, "headers": headers})
    await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else refusal.body})


def _telling(send: Send, told: list[tuple[str, str]]) -> Send:
    more = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in told]

    async def tell(message: Message) -> None:
        if message["type"] == "http.response.start":
            message = {**message, "headers": [*message.get("headers", ()), *more]}
        await send(message)

    return tell


def _releasing(guard: Guard, send: Send) -> Send:
    # As with events, some servers end as soon as they hear of the shutdown, and no exit handler runs.
    async def release_first(message: Message) -> None:
        if message.get("type") in SHUTDOWN:
            await give_back(guard)
        await send(message)

    return release_first


async def give_back(guard: Guard) -> None:
    """Give all leases back, as a server shuts down, without blocking the event loop."""
    with suppress(RuntimeError):  # no loop of asyncio, or one that takes no more
        await asyncio.to_thread(guard.gate.release)
