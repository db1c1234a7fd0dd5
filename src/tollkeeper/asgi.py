"""The door for any ASGI application: ``app.add_middleware(Tollkeeper, sink="sqlite:///usage.db")``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Unpack

from tollkeeper.capture.asgi import ASGIObserver, deliver
from tollkeeper.capture.asgi_hosts import app_name, holds, listen
from tollkeeper.capture.asgi_routes import known_route, mounted_at
from tollkeeper.door import Door

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from tollkeeper.capture.asgi_types import ASGIApp, Scope
    from tollkeeper.capture.options import Options
    from tollkeeper.capture.scope import ScopeExchange
    from tollkeeper.sinks.base import Sink

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
        sink: str | Sink | None = None,
        route: Callable[[Scope], str | None] | None = None,
        **options: Unpack[Options],
    ) -> None:
        super().__init__(sink, options)
        self._route = route
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
        return ASGIObserver(app, self._recorder, self._options.source or UNNAMED, self._answering, self._meet)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer as the application does."""
        if self.app is None:
            raise TypeError("This Tollkeeper wraps no app: give it one, or pass keeper.middleware to the framework.")
        await self.app(scope, receive, send)

    async def _deliver(self) -> None:
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
