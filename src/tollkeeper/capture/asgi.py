"""Observe any ASGI application: what every door onto ASGI shares."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from tollkeeper.capture.asgi_watch import Watch
from tollkeeper.capture.scope import SCOPE_KEY

if TYPE_CHECKING:
    from collections.abc import Callable

    from tollkeeper.capture.asgi_types import ASGIApp, Message, Receive, Scope, Send
    from tollkeeper.capture.recorder import Recorder
    from tollkeeper.capture.scope import ScopeExchange

__all__ = ["ASGIObserver", "deliver"]

SHUTDOWN = frozenset({"lifespan.shutdown.complete", "lifespan.shutdown.failed"})


class ASGIObserver:
    """Wraps an application and records each of its HTTP requests; every other scope passes as it is.

    ``answering`` adds what only the framework knows, the route, when the answer starts or the app raises. ``meet`` is
    called once, with the first scope of any kind. The messages, exceptions and timing of the application pass
    unchanged, in order and unbuffered. Nothing of ours raises into it. ``app`` is what is wrapped, as elsewhere.
    """

    def __init__(
        self,
        app: ASGIApp,
        recorder: Recorder,
        source: str,
        answering: Callable[[ScopeExchange, Scope], None],
        meet: Callable[[ASGIObserver, Scope], None] | None = None,
    ) -> None:
        self.app = app
        self.source = source
        self._recorder = recorder
        self._answering = answering
        self._meet = meet

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer as the application does."""
        watch = self._watch(scope, receive, send)
        if watch is None:
            await self.app(scope, receive, self._delivering(send) if scope.get("type") == "lifespan" else send)
            return
        try:
            await self.app(scope, watch.receive, watch.send)
        except Exception as error:
            await watch.raised(error)
            raise
        except BaseException as error:
            watch.over(error)
            raise
        finally:
            watch.leave()

    def _watch(self, scope: Scope, receive: Receive, send: Send) -> Watch | None:
        recorder = self._recorder
        if self._meet is not None:
            self._introduce(self._meet, scope)
        try:
            if scope.get("type") != "http":
                return None
            outer = scope.get(SCOPE_KEY)
            if outer is not None and outer.log is recorder.log:
                return None  # the same keeper watches further out
            return Watch(recorder, self._answering, scope, receive, send, source=self.source, outer=outer)
        except Exception as error:  # noqa: BLE001 - nothing of ours reaches the host
            recorder.fail(error)
            return None

    def _introduce(self, meet: Callable[[ASGIObserver, Scope], None], scope: Scope) -> None:
        self._meet = None
        try:
            meet(self, scope)
        except Exception as error:  # noqa: BLE001 - nothing of ours reaches the host
            self._recorder.trouble(error)

    def _delivering(self, send: Send) -> Send:
        # Some servers, uvicorn among them, end by the signal that stopped them as soon as they hear of the shutdown,
        # and no exit handler runs: what waits must leave before they hear of it.
        async def deliver_first(message: Message) -> None:
            if message.get("type") in SHUTDOWN:
                await deliver(self._recorder)
            await send(message)

        return deliver_first


async def deliver(recorder: Recorder) -> None:
    """Wait until what was observed has left, as long as a shutdown may take, without blocking the event loop."""
    with suppress(RuntimeError):  # not asyncio's, or it takes no more: servers that have another run exit handlers
        await asyncio.to_thread(recorder.flush)
