"""The service as one ASGI application."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from litestar import Litestar, Request, Router, get
from litestar.di import Provide

from tollkeeper.api.analytics import get_timeseries, get_top
from tollkeeper.api.events import IngestHandler, get_events
from tollkeeper.api.filters import filters_query
from tollkeeper.api.guard import token_guard
from tollkeeper.api.openapi import get_openapi, openapi_config
from tollkeeper.api.operations import get_health, get_metrics, get_readiness
from tollkeeper.api.problems import answer_problem
from tollkeeper.errors import NotFoundError
from tollkeeper.service.ingest import GroupCommit

if TYPE_CHECKING:
    from collections.abc import Sequence

    from litestar.types import ASGIApp, ControllerRouterHandler, Receive, Scope, Send

    from tollkeeper.service.bootstrap import Service

__all__ = ["create_app"]


@get("/v1/{rest:path}", sync_to_thread=False, include_in_schema=False)
def get_unknown(request: Request[Any, Any, Any]) -> None:
    """Raise NotFoundError, so that a wrong address below ``/v1`` gets a problem and not a page."""
    raise NotFoundError(f"There is no {request.scope['path'][:100]!r}: /openapi.json lists every route.")


def create_app(service: Service, pages: Sequence[ControllerRouterHandler] = ()) -> ASGIApp:
    """Bind the API, and the routes of the dashboard when they are given, to a service.

    The application closes the service when it shuts down.
    """
    commits = GroupCommit(service.events.append)
    ingest = IngestHandler(service, commits)

    guard = token_guard(service)
    routes = [get_events, get_timeseries, get_top, get_health, get_readiness, get_metrics, get_openapi, get_unknown]
    api = Router(
        "/",
        route_handlers=routes,
        guards=[guard],
        dependencies={"filters": Provide(filters_query, sync_to_thread=False)},
        exception_handlers={Exception: answer_problem},
    )
    litestar = Litestar(
        route_handlers=[api, *pages],
        dependencies={"service": Provide(lambda: service, sync_to_thread=False)},
        exception_handlers={Exception: answer_problem},
        openapi_config=openapi_config(guard),
        logging_config=None,  # the host's logging is the host's when embedded
        on_shutdown=[commits.close, service.close],
    )

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope.get("method") == "POST" and scope["path"].removeprefix(scope.get("root_path", "")) == "/v1/events":
            await ingest(scope, receive, send)
        else:
            await litestar(scope, receive, send)

    return app
