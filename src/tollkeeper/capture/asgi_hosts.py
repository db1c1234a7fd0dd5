"""What ASGI frameworks do not tell in a scope, asked of them: their name, their errors, the outside of their stack."""

from __future__ import annotations

import re
import sys
from contextlib import suppress
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from tollkeeper.capture.asgi_routes import mounted_at
from tollkeeper.capture.current import exchange_in_hand
from tollkeeper.capture.scope import SCOPE_KEY

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

    from tollkeeper.capture.asgi_types import Scope
    from tollkeeper.capture.exchange import Exchange

__all__ = ["app_name", "holds", "layers", "listen", "rule_template"]

MAX_WRAPPERS = 32
HINTS = frozenset({308, 405})  # a redirect to a slash; a path that is known, though not for this method
_variable = re.compile(r"<(?:[a-zA-Z_]\w*(?:\(.*?\))?:)?([a-zA-Z_]\w*)>")


def app_name(app: object) -> str | None:
    """What an app calls itself: the title of FastAPI and Litestar, Quart's name; None when it says nothing."""
    for layer in layers(app):
        described = getattr(layer, "openapi_config", None)
        for name in (getattr(layer, "title", None), getattr(described, "title", None), getattr(layer, "name", None)):
            if isinstance(name, str) and name:
                return name
    return None


def holds(stack: object, middleware: object) -> bool:
    """Whether a middleware is one of the layers of a stack."""
    return any(layer is middleware for layer in layers(stack))


def listen(app: object, ending: Callable[[], Awaitable[None]]) -> None:
    """Be told of routes and errors by frameworks that keep them to themselves, Litestar and Quart; idempotent.

    ``ending`` is called when Litestar shuts down: what stands in it hears of no lifespan.
    """
    for layer in layers(app):
        if hasattr(layer, "asgi_router"):
            for name, hook in (("after_exception", _litestar_failed), ("on_shutdown", ending)):
                hooks = getattr(layer, name, None)
                if isinstance(hooks, list) and hook not in hooks:
                    hooks.append(hook)
    if "quart" in sys.modules:
        from quart.signals import got_request_exception, request_started  # noqa: PLC0415 - the framework is the host's

        request_started.connect(_quart_started)
        got_request_exception.connect(_quart_failed)


def layers(app: object) -> Iterator[object]:
    """An app and what it wraps, as far as that can be seen."""
    for _ in range(MAX_WRAPPERS):
        if app is None:
            return
        yield app
        owner = getattr(app, "__self__", None)  # of a bound method, such as Quart's asgi_app
        app = getattr(app, "app", None) if owner is None else owner


async def _litestar_failed(error: Exception, scope: Scope) -> None:
    exchange: Exchange | None = scope.get(SCOPE_KEY)
    # An error with a status is an answer. Whether a handler makes one of the others, the answer's status tells.
    if exchange is not None and not hasattr(error, "status_code"):
        exchange.fail(error)


async def _quart_failed(_app: object, exception: Exception, **_: object) -> None:
    exchange = exchange_in_hand.get()
    if exchange is not None:
        exchange.fail(exception)


async def _quart_started(_app: object, **_: object) -> None:
    exchange = exchange_in_hand.get()
    if exchange is None:
        return
    try:
        exchange.route = _quart_route()
    except Exception as error:  # noqa: BLE001 - nothing of ours reaches the host
        exchange.log.tell("route", "Tollkeeper cannot tell the route of a request.", error=error)


def _quart_route() -> str | None:
    from quart import request  # noqa: PLC0415 - installed where this is called
    from quart.globals import request_ctx  # noqa: PLC0415 - installed where this is called

    rule: Any = request.url_rule
    scope: Any = request.scope
    if rule is None and getattr(request.routing_exception, "code", None) in HINTS:
        rule = _nearest_rule(request_ctx.url_adapter)
    return None if rule is None else f"{mounted_at(scope, scope['path'])}{rule_template(rule.rule)}"


def _nearest_rule(adapter: Any) -> Any:
    """The rule of a path that was found, though not for this method, or not without its slash; None without one."""
    path = adapter.path_info
    for known in (path, f"{path}/"):
        for method in adapter.allowed_methods(known):
            with suppress(Exception):  # of the framework: not this one after all
                return adapter.match(known, method, return_rule=True)[0]
    return None


@lru_cache(maxsize=4096)
def rule_template(rule: str) -> str:
    """``/users/<int:id>`` as ``/users/{id}``."""
    return _variable.sub(r"{\1}", rule)
