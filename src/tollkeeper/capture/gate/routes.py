"""Which route template a request will be answered by, found before the framework looks for it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tollkeeper.capture.asgi_hosts import layers, rule_template
from tollkeeper.capture.asgi_routes import matching_route, mounted_at

if TYPE_CHECKING:
    from tollkeeper.capture.asgi_types import Scope

__all__ = ["RouteFinder"]

MAX_KNOWN, MAX_TEXT = 4096, 512


class RouteFinder:
    """Asks the framework that ``app`` is, or stands in: Starlette, FastAPI, Litestar or Quart.

    What Starlette finds, one route after the other, is remembered as long as it has as many of them, of paths that are
    not too long. Raises whatever the framework raises.
    """

    def __init__(self, app: object) -> None:
        self._app = app
        self._known: dict[tuple[str, str, str], str] = {}
        self._count = -1

    def __call__(self, scope: Scope) -> str | None:
        """The whole template, with that of each mount; None when nothing matches, or nobody can tell."""
        path: str = scope["path"]
        mount = mounted_at(scope, path)
        if "path_template" in scope:  # Litestar has looked already
            return f"{mount}{scope['path_template']}"
        host = self._host(scope.get("app"))
        if hasattr(host, "asgi_router"):
            below = path[len(mount) :].rstrip("/") or "/"
            return f"{mount}{host.asgi_router.handle_routing(path=below, method=scope['method'])[-1]}"
        if hasattr(host, "url_map"):
            adapter = host.url_map.bind(_server_name(scope), script_name=mount or "/")
            rule, _ = adapter.match(path[len(mount) :] or "/", scope["method"], return_rule=True)
            return f"{mount}{rule_template(rule.rule)}"
        return None if host is None else self._of_starlette(host.router.routes, scope)

    def _of_starlette(self, routes: list[Any], scope: Scope) -> str | None:
        key = (scope["method"], scope["path"], scope.get("root_path") or "")
        if len(routes) != self._count or len(self._known) >= MAX_KNOWN:
            self._known, self._count = {}, len(routes)
        found = self._known.get(key)
        if found is None:
            found = matching_route(routes, scope)
            short = sum(map(len, key)) <= MAX_TEXT  # clients write them, as long as they like
            if short and found is not None and not any(hasattr(route, "host") for route in routes):
                self._known[key] = found
        return found

    def _host(self, around: object) -> Any:
        for start in (around, self._app):
            for layer in layers(start):
                if hasattr(layer, "router") or hasattr(layer, "asgi_router") or hasattr(layer, "url_map"):
                    return layer
        return None


def _server_name(scope: Scope) -> str:
    return next((value for name, value in scope["headers"] if name == b"host"), b"localhost").decode("latin-1")
