"""The service as one ASGI application."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from litestar import Litestar, Router
from litestar.di import Provide

from tollkeeper.api.analytics import get_timeseries, get_top
from tollkeeper.api.events import IngestHandler, get_events
from tollkeeper.api.openapi import get_openapi, openapi_config
from tollkeeper.api.operations import get_health, get_metrics, get_readiness
from tollkeeper.api.problems import answer_problem
from tollkeeper.api.queries import filters_query
from tollkeeper.service.ingest import GroupCommit

if TYPE_CHECKING:
    from collections.abc import Sequence

    from litestar.connection import ASGIConnection
    from litestar.handlers import BaseRouteHandler
    from litestar.types import ASGIApp, ControllerRouterHandler, Receive, Scope, Send

    from tollkeeper.service.bootstrap import Service

__all__ = ["create_app"]


def create_app(service: Service, pages: Sequence[ControllerRouterHandler] = ()) -> ASGIApp:
    """Bind the API, and the routes of the dashboard when they are given, to a service.

    A route without ``opt={"scope": …}`` needs a token that may read; ``None`` opens it to all, ``"session"`` leaves the check
    to the dashboard. The application closes the service when it shuts down.
    """
    commits = GroupCommit(service.events.append)
    ingest = IngestHandler(service, commits)

    def authorize(connection: ASGIConnection[Any, Any, Any, Any], handler: BaseRouteHandler) -> None:
        scope = handler.opt.get("scope", "read")
        if scope not in {None, "session"}:
            scheme, _, secret = connection.headers.get("authorization", "").partition(" ")
            service.access.authorize(secret.strip() if scheme.lower() == "bearer" else None, scope)

    routes = [get_events, get_timeseries, get_top, get_health, get_readiness, get_metrics, get_openapi]
    api = Router("/", route_handlers=routes, exception_handlers={Exception: answer_problem})
    litestar = Litestar(
        route_handlers=[api, *pages],
        dependencies={
            "service": Provide(lambda: service, sync_to_thread=False),
            "filters": Provide(filters_query, sync_to_thread=False),
        },
        guards=[authorize],
        exception_handlers={Exception: answer_problem},
        openapi_config=openapi_config(),
        on_shutdown=[commits.close, service.close],
    )

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope.get("method") == "POST" and scope["path"].removeprefix(scope.get("root_path", "")) == "/v1/events":
            await ingest(scope, receive, send)
        else:
            await litestar(scope, receive, send)

    return app
