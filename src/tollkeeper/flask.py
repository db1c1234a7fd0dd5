"""The door for Flask: ``Tollkeeper(app, sink="sqlite:///usage.db")`` records every request of an app."""

from __future__ import annotations

import inspect
import logging
import re
from contextlib import suppress
from functools import lru_cache, wraps
from typing import TYPE_CHECKING, Any, Unpack

import flask
from flask.globals import request_ctx
from flask.signals import got_request_exception, request_finished
from werkzeug.exceptions import HTTPException, MethodNotAllowed
from werkzeug.routing import RequestRedirect
from werkzeug.routing.exceptions import RoutingException

from tollkeeper.capture.asking import ask
from tollkeeper.capture.environ import ENVIRON_KEY
from tollkeeper.capture.gate.environ import asked_of
from tollkeeper.capture.gate.requirement import Requirement, read_requirement
from tollkeeper.capture.wsgi import WSGIObserver
from tollkeeper.door import Door

if TYPE_CHECKING:
    from collections.abc import Callable
    from decimal import Decimal

    from _typeshed.wsgi import WSGIEnvironment

    from tollkeeper.capture.exchange import Exchange
    from tollkeeper.capture.gate.guard import Asked
    from tollkeeper.capture.options import Options
    from tollkeeper.sinks.base import Sinks

__all__ = ["Tollkeeper"]

LIMITS_KEY = "tollkeeper.limits"

_logger = logging.getLogger("tollkeeper")
_variable = re.compile(r"<(?:[a-zA-Z_]\w*(?:\(.*?\))?:)?([a-zA-Z_]\w*)>")


class Tollkeeper(Door):
    """Records the requests of Flask apps into a sink, without ever raising into a request or changing a response.

    ``sink`` is a URL or a Sink; without it, ``TOLLKEEPER_SINK`` of the app's config or of the environment; with none
    of them a warning is logged once and nothing is recorded. ``options`` are those of every door; the functions among
    them get the ``flask.Request`` when its answer is ready, in its context. The app's config may hold any
    ``TOLLKEEPER_*`` setting.

    Raises:
        ConfigurationError: at set-up only, when an argument, a setting or the sink's URL is wrong.
    """

    extension = "tollkeeper"

    def __init__(
        self, app: flask.Flask | None = None, *, sink: Sinks | None = None, **options: Unpack[Options]
    ) -> None:
        super().__init__(sink, options)
        if app is not None:
            self.init_app(app)

    def init_app(self, app: flask.Flask) -> None:
        """Start to record the requests of ``app``; a second call for the same app changes nothing."""
        present = app.extensions.get(self.extension)
        if present is not None:
            if present is not self and self._recorder is None:
                _logger.warning(
                    "Tollkeeper records %r already: what the second one was given is ignored. "
                    "For several sinks, give the first one a list of them.",
                    app.name,
                )
                self._recorder, self.sink, self.sinks = present._recorder, present.sink, present.sinks  # noqa: SLF001 - the same class
                self._guard, self._open_guard = present._guard, present._open_guard  # noqa: SLF001 - the same class
            return
        app.extensions[self.extension] = self
        recorder = self._open(app.config)
        if recorder is None:
            return
        app.wsgi_app = WSGIObserver(  # type: ignore[method-assign]  # how Flask takes a middleware
            app.wsgi_app, recorder, self._options.source or app.name, _name_route
        )
        got_request_exception.connect(self._failed, app)
        if self._options.asked:
            request_finished.connect(self._finished, app)
        if self._options.gate:
            app.before_request(lambda: self._refused(Requirement()))
        if self._options.gate_headers:
            app.after_request(_tell_limits)

    def require_subscription(
        self, *, units: float | str | Decimal = 1, endpoint: str | None = None
    ) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
        """Decorate a view so that calls of it need a subscription, and count so many ``units`` each; below the route.

        ``endpoint`` is a template in the place of the route's. Raises ConfigurationError when there is no service.
        """
        wanted = read_requirement(units, endpoint)
        self._require_gate()

        def decorate(view: Callable[..., Any]) -> Callable[..., Any]:
            @wraps(view)
            def gated(*args: Any, **kwargs: Any) -> Any:
                refused = self._refused(wanted)
                return view(*args, **kwargs) if refused is None else refused

            @wraps(view)
            async def gated_async(*args: Any, **kwargs: Any) -> Any:
                refused = self._refused(wanted)
                return await view(*args, **kwargs) if refused is None else refused

            return gated_async if inspect.iscoroutinefunction(view) else gated

        return decorate

    def _refused(self, wanted: Requirement) -> flask.Response | None:
        """The answer to the request in hand if it may not be made."""
        guard = self._guard
        if guard is None:
            return None
        request = request_ctx.request
        verdict = guard.check(lambda: _asked(request), request.environ.get(ENVIRON_KEY), wanted)
        refusal = guard.refusal(verdict)
        if refusal is not None:
            return flask.Response(refusal.body, refusal.status, refusal.headers)
        if guard.headers:
            request.environ[LIMITS_KEY] = guard.told_limits(verdict) or request.environ.get(LIMITS_KEY, [])
        return None

    def _failed(self, _app: flask.Flask, *, exception: BaseException, **_: Any) -> None:
        def step(exchange: Exchange) -> None:
            exchange.fail(exception)
            _name_route(exchange, flask.request.environ)
            self._ask(exchange)

        self._guarded(step)

    def _finished(self, _app: flask.Flask, **_: Any) -> None:
        self._guarded(self._ask)

    def _ask(self, exchange: Exchange) -> None:
        ask(exchange, flask.request.environ["werkzeug.request"], self._options)

    def _guarded(self, step: Callable[[Exchange], None]) -> None:
        try:
            exchange = self._exchange()
            if exchange is not None:
                step(exchange)
        except Exception as error:  # noqa: BLE001 - nothing of ours reaches the host
            if self._recorder is not None:
                self._recorder.trouble(error)

    def _exchange(self) -> Exchange | None:
        """The exchange of the request in hand that is this door's: others may watch it, too."""
        exchange: Exchange | None = flask.request.environ.get(ENVIRON_KEY)
        while exchange is not None and self._recorder is not None and exchange.log is not self._recorder.log:
            exchange = exchange.outer
        return exchange


def _asked(request: flask.Request) -> Asked:
    rule = request.url_rule
    return asked_of(request.environ, None if rule is None else _template(rule.rule), lambda: request)


def _tell_limits(response: flask.Response) -> flask.Response:
    for name, value in flask.request.environ.get(LIMITS_KEY, ()):
        response.headers[name] = value
    return response


def _name_route(exchange: Exchange, environ: WSGIEnvironment) -> None:
    request = environ.get("werkzeug.request")
    rule = getattr(request, "url_rule", None)
    if rule is None and isinstance(getattr(request, "routing_exception", None), MethodNotAllowed | RequestRedirect):
        rule = _nearest_rule()
    if rule is not None:
        exchange.route = _template(rule.rule)


def _nearest_rule() -> Any:
    """The rule of a path that was found, though not for this method, or not without its slash; None without one."""
    adapter = request_ctx.url_adapter if flask.has_request_context() else None
    if adapter is None:
        return None
    for path in (adapter.path_info, f"{adapter.path_info}/"):
        for method in adapter.allowed_methods(path):
            with suppress(HTTPException, RoutingException):
                return adapter.match(path, method, return_rule=True)[0]
    return None


@lru_cache(maxsize=4096)
def _template(rule: str) -> str:
    """``/users/<int:id>`` as ``/users/{id}``."""
    return _variable.sub(r"{\1}", rule)
