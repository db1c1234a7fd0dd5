"""The page ``/metrics`` of an app that writes variables for Prometheus."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from flask import Response, request
from werkzeug.exceptions import NotFound

from tollkeeper.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from flask import Flask

__all__ = ["Exposed", "decorates", "serve"]

PATH = "/metrics"
CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
MAX_LAYERS = 50
EXTENSION = "tollkeeper.flask_chest.prometheus"


class Exposed(Protocol):
    """What can be scraped."""

    name_prefix: str
    registry: Any

    def expose(self) -> bytes:
        """What Prometheus reads."""
        ...


def serve(app: Flask, chest: Exposed) -> None:
    """Let an app answer ``/metrics`` with a chest, beside those that it has; idempotent, also while it is running.

    Raises:
        ConfigurationError: another chest of the app has metrics of the same names.
    """
    chests: list[Exposed] | None = app.extensions.get(EXTENSION)
    if chests is None:
        chests = app.extensions.setdefault(EXTENSION, [])
        # Behind those of the app, which may ask for a password; not by its method, which no running app takes.
        app.before_request_funcs.setdefault(None, []).append(lambda: _answer(chests))
    if chest in chests:
        return
    if any(other.name_prefix == chest.name_prefix for other in chests):
        raise ConfigurationError(
            f"The app has two chests for Prometheus named {chest.name_prefix!r}: give each a name_prefix of its own."
        )
    chests.append(chest)


def decorates(app: Flask, chest: Exposed) -> bool:
    """Whether a view of an app has this chest."""
    return any(
        chest in getattr(layer, "flask_chests", ())
        for view in list(app.view_functions.values())
        for method in _methods(view)
        for layer in _layers(method)
    )


def _methods(view: Any) -> Iterator[Any]:
    yield view
    if (kind := getattr(view, "view_class", None)) is not None:
        yield from (getattr(kind, name.lower()) for name in kind.methods or () if hasattr(kind, name.lower()))


def _layers(view: Any) -> Iterator[Any]:
    for _ in range(MAX_LAYERS):
        if view is None:
            return
        yield view
        view = getattr(view, "__wrapped__", None)


def _answer(chests: list[Exposed]) -> Response | None:
    if (
        request.path != PATH
        or request.method not in {"GET", "HEAD"}
        or not isinstance(request.routing_exception, NotFound)  # a route of the app goes first
    ):
        return None
    registries = {id(chest.registry): chest for chest in chests}
    return Response(b"".join(chest.expose() for chest in registries.values()), content_type=CONTENT_TYPE)
