"""The dashboard as route handlers, to be mounted in a Litestar app beside the API."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from litestar import Request, Response, Router, get
from litestar.di import NamedDependency, Provide
from litestar.params import FromPath, URLEncodedBody

from tollkeeper.dashboard.alert_actions import ALERT_ACTIONS
from tollkeeper.dashboard.alerts import ALERT_PAGES
from tollkeeper.dashboard.apis import API_PAGES
from tollkeeper.dashboard.assets import Assets, asset, load_assets
from tollkeeper.dashboard.audit import AUDIT_PAGES
from tollkeeper.dashboard.customers import CUSTOMER_PAGES
from tollkeeper.dashboard.documents import DOCUMENT_PAGES
from tollkeeper.dashboard.endpoints import endpoints, endpoints_csv
from tollkeeper.dashboard.errors import error_handlers
from tollkeeper.dashboard.errors_page import ERROR_PAGES
from tollkeeper.dashboard.invoice_actions import INVOICE_ACTIONS
from tollkeeper.dashboard.invoice_lines import LINE_PAGES
from tollkeeper.dashboard.invoice_page import INVOICE_PAGE
from tollkeeper.dashboard.invoices import INVOICE_PAGES
from tollkeeper.dashboard.jobs import JOB_PAGES
from tollkeeper.dashboard.keys import KEY_ACTIONS
from tollkeeper.dashboard.login import log_in, log_out, login_form, login_link, use_login_link
from tollkeeper.dashboard.overview import consumers_csv, overview
from tollkeeper.dashboard.pages import Pages
from tollkeeper.dashboard.plans import PLAN_PAGES
from tollkeeper.dashboard.quotas import QUOTA_PAGES
from tollkeeper.dashboard.requests import newer_requests, one_request, request_log, requests_csv
from tollkeeper.dashboard.revenue import REVENUE_PAGES
from tollkeeper.dashboard.routes import ROUTE_PAGES
from tollkeeper.dashboard.security import refuse_foreign_writes, secure, session_guard
from tollkeeper.dashboard.subscriptions import SUBSCRIPTION_ACTIONS
from tollkeeper.dashboard.tags import TAG_PAGES
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
        *(*CUSTOMER_PAGES, *KEY_ACTIONS, *SUBSCRIPTION_ACTIONS),
        *(*QUOTA_PAGES, *API_PAGES, *ROUTE_PAGES, *TAG_PAGES, *ERROR_PAGES, *AUDIT_PAGES),
        *(*JOB_PAGES, *ALERT_PAGES, *ALERT_ACTIONS),
        *(*PLAN_PAGES, *INVOICE_PAGES, *INVOICE_PAGE, *LINE_PAGES, *INVOICE_ACTIONS, *DOCUMENT_PAGES, *REVENUE_PAGES),
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
