"""The door for any ASGI application: ``app.add_middleware(Tollkeeper, sink="sqlite:///usage.db")``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Unpack

from tollkeeper.capture.asgi import ASGIObserver, deliver
from tollkeeper.capture.asgi_hosts import app_name, holds, listen
from tollkeeper.capture.asgi_routes import known_route, mounted_at
from tollkeeper.capture.gate.asgi import ASGIGate, give_back
from tollkeeper.capture.gate.asgi_views import RequireSubscription
from tollkeeper.capture.gate.requirement import Requirement, read_requirement
from tollkeeper.capture.gate.routes import RouteFinder
from tollkeeper.door import Door
from tollkeeper.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from decimal import Decimal

    from tollkeeper.capture.asgi_types import ASGIApp, Scope
    from tollkeeper.capture.options import Options
    from tollkeeper.capture.scope import ScopeExchange
    from tollkeeper.sinks.base import Sinks

__all__ = ["Tollkeeper"]

UNNAMED = "asgi"
SERVER_ERROR = 500


class Tollkeeper(Door):
    """An ASGI application that answers as ``app`` does and records its requests into a sink.

    Without ``app`` it is a keeper, whose ``middleware`` wraps one or more. ``route`` gets the scope when the answer
    starts and returns the template that matched, like ``/users/{id}``, or None; without it, FastAPI's, Starlette's,
    Litestar's and Quart's are known. ``options`` are those of every door; the functions among them get a
    ``RequestView``, and may be coroutine functions. Without a sink the setting's is taken.

    Raises:
        ConfigurationError: at set-up only, when an argument, a setting or the sink's URL is wrong.
    """

    def __init__(
        self,
        app: ASGIApp | None = None,
        *,
        sink: Sinks | None = None,
        route: Callable[[Scope], str | None] | None = None,
        **options: Unpack[Options],
    ) -> None:
        super().__init__(sink, options)
        self._route = route
        self._ungated = False
        self._open()
        self.app = None if app is None else self.middleware(app)

    def middleware(self, app: ASGIApp) -> Callable[..., Coroutine[Any, Any, None]]:
        """Wrap an app, or what a framework hands to its middleware; all of it shares the sink and the counts."""
        if self._recorder is None:
            return app  # type: ignore[return-value]  # an app without a sink stays what it is
        try:
            listen(app, self._deliver)
        except Exception as error:  # noqa: BLE001 - nothing of ours reaches the host
            self._recorder.trouble(error)
        self._ungated = self._ungated or not self._gated
        if self._gated:
            route = RouteFinder(app) if self._route is None else self._asked_route
            app = ASGIGate(app, lambda: self._guard, route, Requirement() if self._options.gate else None)
        return ASGIObserver(app, self._recorder, self._options.source or UNNAMED, self._answering, self._meet)

    def require_subscription(
        self, *, units: float | str | Decimal = 1, endpoint: str | None = None
    ) -> RequireSubscription:
        """Decorate a view so that calls of it need a subscription, and count so many ``units`` each; or an application.

        What it returns is a dependency of FastAPI, too. ``endpoint`` is a template in the place of the route's. Call it
        before the app is wrapped. Raises ConfigurationError when there is no service.
        """
        wanted = read_requirement(units, endpoint)
        if self._ungated:
            raise ConfigurationError(
                "This Tollkeeper has wrapped an app already: ask for what is required before that."
            )
        self._require_gate()
        return RequireSubscription(lambda: self._guard, self._asked_route, wanted)

    def _asked_route(self, scope: Scope) -> str | None:
        template = None if self._route is None else self._route(scope)
        return None if template is None else f"{mounted_at(scope, scope['path'])}{template}"

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer as the application does."""
        if self.app is None:
            raise TypeError("This Tollkeeper wraps no app: give it one, or pass keeper.middleware to the framework.")
        await self.app(scope, receive, send)

    async def _deliver(self) -> None:
        if self._guard is not None:
            await give_back(self._guard)
        if self._recorder is not None:
            await deliver(self._recorder)

    def _meet(self, observer: ASGIObserver, scope: Scope) -> None:
        host: Any = scope.get("app")
        if not self._options.source:
            observer.source = app_name(observer.app) or app_name(host) or UNNAMED
        listen(host, self._deliver)
        # What error handlers answer, a body that is too large, what is compressed: only the outside of a stack sees it.
        stack: Any = getattr(host, "middleware_stack", None)
        if host is not None and self._recorder is not None and stack is not observer and holds(stack, observer):
            host.middleware_stack = ASGIObserver(stack, self._recorder, observer.source, self._answering)

    def _answering(self, exchange: ScopeExchange, scope: Scope) -> None:
        if exchange.failure is not None and "route_handler" in scope and int(exchange.status) < SERVER_ERROR:
            exchange.failure = None  # Litestar told of an error, and a handler made an answer of it
        if self._route is None:
            exchange.route = known_route(exchange, scope) or exchange.route
            return
        try:
            template = self._route(scope)
        except Exception as error:  # noqa: BLE001 - the host's function may do anything but harm the request
            exchange.log.tell("route", "Tollkeeper: the function for 'route' failed.", error=error)
            return
        exchange.route = None if template is None else f"{mounted_at(scope, exchange.path)}{template}"
