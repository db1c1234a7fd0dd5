"""The door for any WSGI application: ``app = Tollkeeper(app, sink="sqlite:///usage.db")``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Unpack

from tollkeeper.capture.asking import ask
from tollkeeper.capture.gate.environ import WSGIGate
from tollkeeper.capture.gate.requirement import Requirement, read_requirement
from tollkeeper.capture.request import RequestView
from tollkeeper.capture.wsgi import WSGIObserver
from tollkeeper.door import Door

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from decimal import Decimal

    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

    from tollkeeper.capture.exchange import Exchange
    from tollkeeper.capture.options import Options
    from tollkeeper.sinks.base import Sinks

__all__ = ["Tollkeeper"]


class Tollkeeper(Door):
    """A WSGI application that answers as ``app`` does and records its requests into a sink.

    ``route`` gets the environ when the answer starts and returns the template that matched, like ``/users/{id}``, or
    None; without it, Bottle's is known, and everything else is ``(unmatched)``. ``options`` are those of every
    door; the functions among them get a ``RequestView``. Without a sink the setting's is taken.

    Raises:
        ConfigurationError: at set-up only, when an argument, a setting or the sink's URL is wrong.
    """

    def __init__(
        self,
        app: WSGIApplication,
        *,
        sink: Sinks | None = None,
        route: Callable[[WSGIEnvironment], str | None] | None = None,
        **options: Unpack[Options],
    ) -> None:
        super().__init__(sink, options)
        self._route = route or _known_route
        recorder = self._open()
        name = self._options.source or getattr(app, "__name__", None) or type(app).__name__
        if self._options.gate:
            app = WSGIGate(app, lambda: self._guard, self._route, Requirement())
        self._observed: WSGIApplication = (
            app if recorder is None else WSGIObserver(app, recorder, name, self._answering)
        )

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer as the application does."""
        return self._observed(environ, start_response)

    def require_subscription(
        self, *, units: float | str | Decimal = 1, endpoint: str | None = None
    ) -> Callable[[WSGIApplication], WSGIApplication]:
        """Wrap a WSGI application so that calls of it need a subscription, and count so many ``units`` each.

        ``endpoint`` is its template, which nobody else can tell. Raises ConfigurationError, when there is no service.
        """
        wanted = read_requirement(units, endpoint)
        self._require_gate()
        return lambda app: WSGIGate(app, lambda: self._guard, self._route, wanted)

    def _answering(self, exchange: Exchange, environ: WSGIEnvironment) -> None:
        try:
            exchange.route = self._route(environ)
        except Exception as error:  # noqa: BLE001 - the host's function may do anything but harm the request
            exchange.log.tell("route", "Tollkeeper: the function for 'route' failed.", error=error)
        if self._options.asked:
            ask(exchange, RequestView.of_environ(environ), self._options)


def _known_route(environ: WSGIEnvironment) -> str | None:
    rule: Any = getattr(environ.get("bottle.route"), "rule", None)
    return rule if isinstance(rule, str) else None
