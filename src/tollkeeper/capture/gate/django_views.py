"""Gate the views of a Django project, in synchronous chains and in asynchronous ones."""

from __future__ import annotations

import inspect
from functools import wraps
from typing import TYPE_CHECKING, Any

from tollkeeper.capture.django_routes import route_template
from tollkeeper.capture.gate.environ import asked_of
from tollkeeper.capture.gate.requirement import Requirement

if TYPE_CHECKING:
    from collections.abc import Callable

    from tollkeeper.capture.gate.guard import Asked, Function, Guard
    from tollkeeper.leases.lease import Verdict

__all__ = ["DjangoGate", "tell_limits"]

LIMITS = "_tollkeeper_limits"
ANY = Requirement()


class DjangoGate:
    """Decides about ``HttpRequest`` objects; ``for_sync`` and ``for_async`` fit the host's functions to the chain.

    ``guard`` gives the guard, or None while there is none; ``watch`` is the attribute with a request's exchange.
    """

    def __init__(
        self,
        guard: Callable[[], Guard | None],
        watch: str,
        *,
        for_sync: Callable[[Function], Function],
        for_async: Callable[[Function], Function],
    ) -> None:
        self._guard = guard
        self._watch = watch
        self._for_sync = for_sync
        self._for_async = for_async

    def admit(self, request: Any, *_: Any) -> Any:
        """Be the ``process_view`` of a middleware."""
        return self.refused(request, ANY)

    async def admit_async(self, request: Any, *_: Any) -> Any:
        """The same in an asynchronous chain."""
        return await self.refused_async(request, ANY)

    def refused(self, request: Any, wanted: Requirement) -> Any:
        """The response to a request that may not be made; None for any other."""
        guard = self._guard()
        if guard is None:
            return None
        guard = guard.adapted(self._for_sync)
        return _response(
            guard, request, guard.check(lambda: _asked(request), getattr(request, self._watch, None), wanted)
        )

    async def refused_async(self, request: Any, wanted: Requirement) -> Any:
        """The same in an asynchronous chain."""
        guard = self._guard()
        if guard is None:
            return None
        guard = guard.adapted(self._for_async)
        verdict = await guard.check_async(lambda: _asked(request), getattr(request, self._watch, None), wanted)
        return _response(guard, request, verdict)

    def decorator(self, wanted: Requirement) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
        """Decorate views, also methods of a class of views."""

        def decorate(view: Callable[..., Any]) -> Callable[..., Any]:
            @wraps(view)
            def gated(*args: Any, **kwargs: Any) -> Any:
                refused = self.refused(_request_in(args), wanted)
                return view(*args, **kwargs) if refused is None else refused

            @wraps(view)
            async def gated_async(*args: Any, **kwargs: Any) -> Any:
                refused = await self.refused_async(_request_in(args), wanted)
                return await view(*args, **kwargs) if refused is None else refused

            return gated_async if inspect.iscoroutinefunction(view) else gated

        return decorate


def tell_limits(request: Any, response: Any) -> None:
    """Add the limits of a call that was admitted to its response, where that was asked for."""
    for name, value in getattr(request, LIMITS, ()):
        response.headers[name] = value


def _request_in(args: tuple[Any, ...]) -> Any:
    """The request among the arguments of a view, which has ``self`` before it when it is a method."""
    return next((one for one in args if hasattr(one, "META")), None)


def _asked(request: Any) -> Asked:
    match = request.resolver_match
    return asked_of(request.META, None if match is None else route_template(str(match.route)), lambda: request)


def _response(guard: Guard, request: Any, verdict: Verdict) -> Any:
    from django.http import HttpResponse  # noqa: PLC0415 - installed where this is called

    refusal = guard.refusal(verdict)
    if refusal is not None:
        return HttpResponse(refusal.body, status=refusal.status, headers=dict(refusal.headers))
    if guard.headers:
        setattr(request, LIMITS, guard.told_limits(verdict) or getattr(request, LIMITS, []))
    return None
