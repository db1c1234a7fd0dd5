"""Gate single views of ASGI frameworks, as a decorator and as a dependency of FastAPI."""

from __future__ import annotations

import inspect
import sys
from collections.abc import MutableMapping
from functools import cache, wraps
from typing import TYPE_CHECKING, Any

from tollkeeper.capture.gate.asgi import ASGIGate, RefusedError, in_hand

if TYPE_CHECKING:
    from collections.abc import Callable

    from tollkeeper.capture.asgi_types import Scope
    from tollkeeper.capture.gate.answer import Refusal
    from tollkeeper.capture.gate.asgi import InHand
    from tollkeeper.capture.gate.guard import Guard
    from tollkeeper.capture.gate.requirement import Requirement

__all__ = ["RequireSubscription"]


NOT_WRAPPED = "No Tollkeeper is around this app: give the framework keeper.middleware."


class RequireSubscription:
    """Decorates a view, or an ASGI application, so that calls of it need a subscription.

    Called with nothing it is a dependency, for FastAPI, of a route, a router or an app: it raises its HTTPException.
    """

    def __init__(
        self, guard: Callable[[], Guard | None], route: Callable[[Scope], str | None], wanted: Requirement
    ) -> None:
        self._guard = guard
        self._route = route
        self._wanted = wanted
        self.__signature__ = inspect.Signature()  # what FastAPI is to fill in: nothing

    def __call__(self, view: Callable[..., Any] | None = None) -> Any:
        """Wrap a view; without one, decide about the request in hand."""
        if view is not None:
            return self._wrapped(view)
        request = in_hand.get()
        refusal = self._refusal(request)
        if refusal is not None:
            raise _as_exception(refusal, request)
        return None

    def _wrapped(self, view: Callable[..., Any]) -> Callable[..., Any]:
        whole = ASGIGate(view, self._guard, self._route, self._wanted)

        @wraps(view)
        def gated(*args: Any, **kwargs: Any) -> Any:
            request = in_hand.get()
            refusal = self._refusal(request)
            return view(*args, **kwargs) if refusal is None else _as_response(refusal, request)

        @wraps(view)
        async def gated_async(*args: Any, **kwargs: Any) -> Any:
            if args and isinstance(args[0], MutableMapping) and "type" in args[0]:
                return await whole(*args)
            request = in_hand.get()
            refusal = await self._refusal_async(request)
            return await view(*args, **kwargs) if refusal is None else _as_response(refusal, request)

        called = view if inspect.isroutine(view) else getattr(view, "__call__", view)  # noqa: B004 - as frameworks look
        return gated_async if inspect.iscoroutinefunction(called) else gated

    def _refusal(self, request: InHand | None) -> Refusal | None:
        guard = self._guard()
        if guard is None:
            return None
        if request is None:
            return guard.refusal(guard.gate.failed(LookupError(NOT_WRAPPED)))
        return guard.refusal(guard.check(request.asked, request.exchange, self._wanted))

    async def _refusal_async(self, request: InHand | None) -> Refusal | None:
        guard = self._guard()
        if guard is None or request is None:
            return self._refusal(request)
        return guard.refusal(await guard.check_async(request.asked, request.exchange, self._wanted))


def _as_response(refusal: Refusal, request: InHand | None) -> Any:
    """A response of the framework that answers; raises RefusedError when that is none that is known."""
    scope: Any = {} if request is None else request.scope
    host = scope.get("app")
    headers = {name: value for name, value in refusal.headers if name != "Content-Length"}
    if hasattr(host, "asgi_router"):
        kind = headers.pop("Content-Type")
        response = sys.modules["litestar"].Response  # the host has it, and nothing in the app may need it
        return response(refusal.body, status_code=refusal.status, headers=headers, media_type=kind)
    if "router" in scope:
        return _starlette_response(refusal, headers)
    if "quart" in sys.modules:
        import quart  # noqa: PLC0415 - installed where this is called

        if quart.has_request_context():
            return quart.Response(refusal.body, refusal.status, headers)
    raise RefusedError(refusal)


def _starlette_response(refusal: Refusal, headers: dict[str, str]) -> Any:
    from starlette.responses import Response  # noqa: PLC0415 - installed where this is called

    return Response(refusal.body, refusal.status, headers)


def _as_exception(refusal: Refusal, request: InHand | None) -> Exception:
    """An exception that Starlette answers by our problem document."""
    found = None if request is None else request.scope.get("starlette.exception_handlers")
    if found is None:
        return RefusedError(refusal)
    kind = _starlette_exception()
    found[0].setdefault(kind, _answer_exception)
    error: Exception = kind(refusal)
    return error


@cache
def _starlette_exception() -> Any:
    from starlette.exceptions import HTTPException  # noqa: PLC0415 - installed where this is called

    class SubscriptionRequired(HTTPException):
        def __init__(self, refusal: Refusal) -> None:
            headers = {name: value for name, value in refusal.headers if not name.startswith("Content-")}
            super().__init__(refusal.status, headers=headers)
            self.refusal = refusal

    return SubscriptionRequired


async def _answer_exception(_request: Any, error: Any) -> Any:
    headers = {name: value for name, value in error.refusal.headers if name != "Content-Length"}
    return _starlette_response(error.refusal, headers)
