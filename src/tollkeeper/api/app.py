"""The service as one ASGI application."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from litestar import Litestar, Request, Router, get
from litestar.di import Provide

from tollkeeper.api.alert_channels import CHANNEL_HANDLERS
from tollkeeper.api.alerts import ALERT_HANDLERS
from tollkeeper.api.analytics import get_timeseries, get_top
from tollkeeper.api.api_errors import ERROR_HANDLERS
from tollkeeper.api.audit import get_audit
from tollkeeper.api.coupons import COUPON_HANDLERS
from tollkeeper.api.credit_notes import CREDIT_NOTE_HANDLERS
from tollkeeper.api.customer_billing import CUSTOMER_BILLING_HANDLERS
from tollkeeper.api.customer_usage import get_errors, get_usage
from tollkeeper.api.customers import CUSTOMER_HANDLERS
from tollkeeper.api.events import IngestHandler, get_events
from tollkeeper.api.exports import get_charges_file
from tollkeeper.api.filters import filters_query
from tollkeeper.api.gate import GATE_HANDLERS, GateHandler
from tollkeeper.api.grants import GRANT_HANDLERS
from tollkeeper.api.guard import token_guard
from tollkeeper.api.invoice_documents import DOCUMENT_HANDLERS
from tollkeeper.api.invoices import INVOICE_HANDLERS
from tollkeeper.api.jobs import JOB_HANDLERS
from tollkeeper.api.keys import KEY_HANDLERS
from tollkeeper.api.meters import METER_HANDLERS
from tollkeeper.api.openapi import get_openapi, openapi_config
from tollkeeper.api.operations import get_health, get_metrics, get_readiness
from tollkeeper.api.own_prices import OWN_PRICE_HANDLERS
from tollkeeper.api.plans import PLAN_HANDLERS
from tollkeeper.api.problems import answer_problem
from tollkeeper.api.products import PRODUCT_HANDLERS
from tollkeeper.api.quotas import get_quotas
from tollkeeper.api.registration import REGISTRATION_HANDLERS
from tollkeeper.api.revenue import REVENUE_HANDLERS
from tollkeeper.api.routes import ROUTE_HANDLERS
from tollkeeper.api.simulations import post_simulation
from tollkeeper.api.subscriptions import SUBSCRIPTION_HANDLERS
from tollkeeper.api.tag_calls import tag_calls
from tollkeeper.api.tags import TAG_HANDLERS
from tollkeeper.api.usage_reports import post_usage
from tollkeeper.api.validation import post_validation
from tollkeeper.api.wallets import WALLET_HANDLERS
from tollkeeper.api.writing import write_from
from tollkeeper.errors import NotFoundError
from tollkeeper.leases.place import folder_for
from tollkeeper.service.alerts.denials import Denials
from tollkeeper.service.gate_desk import GateDesk
from tollkeeper.service.ingest import GroupCommit
from tollkeeper.service.report_desk import ReportDesk
from tollkeeper.service.tag_counter import TagCounter

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from litestar.types import ASGIApp, ControllerRouterHandler, Receive, Scope, Send

    from tollkeeper.service.bootstrap import Service

__all__ = ["create_app"]

HANDLERS = (
    get_events,
    get_timeseries,
    get_top,
    get_health,
    get_readiness,
    get_metrics,
    get_openapi,
    *PRODUCT_HANDLERS,
    *ROUTE_HANDLERS,
    *CUSTOMER_HANDLERS,
    *CUSTOMER_BILLING_HANDLERS,
    *COUPON_HANDLERS,
    *WALLET_HANDLERS,
    *KEY_HANDLERS,
    *METER_HANDLERS,
    *PLAN_HANDLERS,
    *SUBSCRIPTION_HANDLERS,
    *OWN_PRICE_HANDLERS,
    *GRANT_HANDLERS,
    *INVOICE_HANDLERS,
    *CREDIT_NOTE_HANDLERS,
    *REGISTRATION_HANDLERS,
    *TAG_HANDLERS,
    *ERROR_HANDLERS,
    *CHANNEL_HANDLERS,
    *ALERT_HANDLERS,
    *DOCUMENT_HANDLERS,
    *JOB_HANDLERS,
    *GATE_HANDLERS,
    *REVENUE_HANDLERS,
    get_charges_file,
    post_simulation,
    get_quotas,
    get_audit,
    get_errors,
    get_usage,
    post_usage,
    post_validation,
)


@get("/v1/{rest:path}", sync_to_thread=False, include_in_schema=False)
def get_unknown(request: Request[Any, Any, Any]) -> None:
    """Raise NotFoundError, so that a wrong address below ``/v1`` gets a problem and not a page."""
    raise NotFoundError(f"There is no {request.scope['path'][:100]!r}: /openapi.json lists every route.")


def create_app(service: Service, pages: Sequence[ControllerRouterHandler] = ()) -> ASGIApp:
    """Bind the API, and the routes of the dashboard when they are given, to a service.

    The application closes the service when it shuts down.
    """
    settings, commits = service.settings, GroupCommit(service.events.append)
    gate, denials = GateDesk(service.gate, folder_for(settings.gate_folder, settings.store)), Denials(service.catalog)
    service.gate.watch(denials.note)
    hot: dict[str, ASGIApp] = {"/v1/events": IngestHandler(service, commits), "/v1/gate/check": GateHandler(gate)}
    desk = ReportDesk(service.catalog, commits, settings.max_batch_events)
    counter = TagCounter(service.tags)
    guard = token_guard(service)
    api = Router(
        "/",
        route_handlers=[*HANDLERS, get_unknown],
        guards=[guard],
        dependencies={
            "filters": Provide(filters_query, sync_to_thread=False),
            "write": Provide(write_from, sync_to_thread=False),
        },
        exception_handlers={Exception: answer_problem},
    )
    litestar = Litestar(
        route_handlers=[api, tag_calls(service), *pages],
        dependencies={
            "service": Provide(lambda: service, sync_to_thread=False),
            "counter": Provide(lambda: counter, sync_to_thread=False),
            "desk": Provide(lambda: desk, sync_to_thread=False),
            "gate": Provide(lambda: gate, sync_to_thread=False),
        },
        exception_handlers={Exception: answer_problem},
        openapi_config=openapi_config(guard),
        logging_config=None,  # the host's logging is the host's when embedded
        on_startup=[gate.open],
        on_shutdown=[gate.close, denials.close, desk.close, commits.close, counter.close, service.close],
    )
    return _in_front(hot, litestar)


def _in_front(hot: Mapping[str, ASGIApp], rest: ASGIApp) -> ASGIApp:
    """Let what is posted to some paths go straight to their handlers, and all else to the rest."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        handler = None
        if scope.get("method") == "POST":
            handler = hot.get(scope["path"].removeprefix(scope.get("root_path", "")))
        await (handler or rest)(scope, receive, send)

    return app
