"""Which route template answered, as Starlette, FastAPI and Litestar leave it in an ASGI scope."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from tollkeeper.capture.asgi_types import Scope
    from tollkeeper.capture.scope import ScopeExchange

__all__ = ["known_route", "matching_route", "mounted_at"]

MOUNTED = "/{path}"  # how Starlette writes down what is below a mount
MAX_WRAPPERS = 32
REDIRECTS = frozenset({307, 308})
NOT_ALLOWED = 405


def known_route(exchange: ScopeExchange, scope: Scope) -> str | None:
    """The whole template, with that of each mount, or None when nothing matched or the framework does not tell.

    A 405 and a redirect to a path with or without a slash name the route that they hint at.
    """
    app = scope.get("app")
    if hasattr(app, "asgi_router"):
        return _litestar(exchange, scope, app)
    if "router" in scope:
        return _starlette(exchange, scope)
    return None


def matching_route(routes: Iterable[Any], scope: Scope) -> str | None:
    """The whole template of the first of Starlette's routes that matches a scope nobody has routed yet."""
    whole = {**scope, "root_path": scope.get("app_root_path", scope.get("root_path", "")), "path_params": {}}
    found = _search(routes, whole, None)
    return None if found is None else f"{mounted_at(whole, scope['path'])}{found}"


def mounted_at(scope: Scope, path: str) -> str:
    """The root path, if that is where ``path`` begins: behind some proxies it was cut off."""
    root = (scope.get("root_path") or "").rstrip("/")
    return root if path == root or path.startswith(f"{root}/") else ""


def _litestar(exchange: ScopeExchange, scope: Scope, app: Any) -> str | None:
    path = exchange.path  # Litestar cuts the one in the scope
    mount = mounted_at(scope, path)
    template = scope.get("path_template")
    if template is None and exchange.status == NOT_ALLOWED:
        template = _litestar_hint(app, path[len(mount) :].rstrip("/") or "/")
    elif getattr(scope.get("route_handler"), "is_mount", False):
        template = path[len(mount) :].rstrip("/").removesuffix(scope["path"].strip("/")).rstrip("/") + MOUNTED
    return None if template is None else f"{mount}{template}"


def _litestar_hint(app: Any, path: str) -> str | None:
    with suppress(Exception):  # of the framework, when it did not mean a route
        return str(app.asgi_router.handle_routing(path=path, method="OPTIONS")[-1])  # what every path knows
    return None


def _starlette(exchange: ScopeExchange, scope: Scope) -> str | None:
    endpoint = scope.get("endpoint")
    path: str = scope["path"]
    route = None if endpoint is None else _selected(scope, endpoint)
    if route is not None and not hasattr(route, "routes"):
        template: str = route.path_format
        # With as many parameters as the template has, no mount has any: its path is its template.
        if template.count("{") == len(scope["path_params"]):
            return f"{mounted_at(scope, path)}{template}"
    whole = {**scope, "root_path": scope.get("app_root_path", scope.get("root_path", "")), "path_params": {}}
    routes = scope["router"].routes
    found = None if endpoint is None else _search(routes, whole, endpoint)
    if found is None and exchange.status in REDIRECTS:
        path = path.rstrip("/") if path.endswith("/") else f"{path}/"
        found = _search(routes, whole | {"path": path}, None)
    return None if found is None else f"{mounted_at(whole, path)}{found}"


def _selected(scope: Scope, endpoint: object) -> Any:
    """The route that the scope names, unless it is one of a router further out; None when it names none."""
    context = (scope.get("fastapi") or {}).get("effective_route_context")
    for route in (getattr(context, "starlette_route", None) or context, scope.get("route")):
        if route is not None and _endpoint(route) is endpoint:
            return route
    return None


def _search(routes: Iterable[Any], scope: dict[str, Any], endpoint: object) -> str | None:
    """The template of the first route that leads to ``endpoint``, or to any; at best of one that takes the method."""
    second = None
    for route in _flat(routes):
        below = _routes_below(route)
        if below is None and endpoint is not None and _endpoint(route) is not endpoint:
            continue
        match, child = route.matches(scope)
        if not match.value:
            continue
        template = getattr(route, "path_format", "")
        if below is not None:
            found = _search(below, scope | child, endpoint)
            template = None if found is None else f"{template.removesuffix(MOUNTED)}{found}"
        if template is not None and match.name == "FULL":
            return template
        second = second or template
    return second


def _flat(routes: Iterable[Any]) -> Iterator[Any]:
    for route in routes:
        contexts = getattr(route, "effective_route_contexts", None)  # FastAPI's, of an included router
        if contexts is None:
            yield route
        else:
            for context in contexts():
                yield getattr(context, "starlette_route", None) or context


def _routes_below(route: Any) -> Iterable[Any] | None:
    """The routes of the app that is mounted here, however it is wrapped; None when this is no mount, or has none."""
    if not hasattr(route, "routes"):
        return None
    app = route
    for _ in range(MAX_WRAPPERS):
        app = getattr(app, "app", None)
        routes = getattr(app, "routes", None)
        if routes is not None:
            return routes  # type: ignore[no-any-return]  # any app's
    return None


def _endpoint(route: Any) -> object:
    endpoint = getattr(route, "endpoint", None)
    return getattr(route, "app", None) if endpoint is None else endpoint
