"""The dashboard as route handlers, to be mounted in a Litestar app beside the API."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from litestar import Request, Response, Router, get
from litestar.di import NamedDependency, Provide
from litestar.params import FromPath, URLEncodedBody

from tollkeeper.dashboard.assets import Assets, asset, load_assets
from tollkeeper.dashboard.endpoints import endpoints, endpoints_csv
from tollkeeper.dashboard.errors import error_handlers
from tollkeeper.dashboard.login import log_in, log_out, login_form, login_link, use_login_link
from tollkeeper.dashboard.overview import consumers_csv, overview
from tollkeeper.dashboard.pages import Pages
from tollkeeper.dashboard.requests import newer_requests, one_request, request_log, requests_csv
from tollkeeper.dashboard.security import refuse_foreign_writes, secure, session_guard
from tollkeeper.errors import NotFoundError
from tollkeeper.service.bootstrap import Service

if TYPE_CHECKING:
    from litestar.types import ControllerRouterHandler

__all__ = ["dashboard_routes"]


@get("/{rest:path}", sync_to_thread=False)
def unknown(request: Request[Any, Any, Any]) -> Response[bytes]:
    """Raise NotFoundError, so that a wrong address gets a page too."""
    raise NotFoundError(f"There is no page {request.scope['path'][:100]!r}: start again from the overview.")


def dashboard_routes(service: Service) -> list[ControllerRouterHandler]:
    """Make the pages, the login and the assets over a service; raises ConfigurationError when no assets are built.

    Every page but the login asks for a session; every answer, errors too, is HTML with the headers of ``security``.
    """
    assets = load_assets()
    pages = Pages(assets)
    handlers = [
        *(overview, consumers_csv, endpoints, endpoints_csv),
        *(request_log, newer_requests, one_request, requests_csv),
        *(login_form, log_in, login_link, use_login_link, log_out),
        *(asset, unknown),
    ]
    dashboard = Router(
        "/",
        route_handlers=handlers,
        dependencies={
            "assets": Provide(lambda: assets, sync_to_thread=False),
            "pages": Provide(lambda: pages, sync_to_thread=False),
            "service": Provide(lambda: service, sync_to_thread=False),
        },
        guards=[session_guard(service)],
        before_request=refuse_foreign_writes,
        after_request=secure,
        exception_handlers=error_handlers(pages),
        include_in_schema=False,
        signature_namespace={
            "FromPath": FromPath,
            "NamedDependency": NamedDependency,
            "URLEncodedBody": URLEncodedBody,
            "Assets": Assets,
            "Pages": Pages,
            "Service": Service,
        },
    )
    return [dashboard]
