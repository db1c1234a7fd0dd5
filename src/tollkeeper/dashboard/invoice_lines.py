"""The very calls that a line of an invoice charges."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from litestar import Request, Response, get

from tollkeeper.billing.customer import Customer
from tollkeeper.dashboard.statements import show_parts
from tollkeeper.dashboard.view import parse_view
from tollkeeper.errors import NotFoundError
from tollkeeper.service.invoicing.line_events import list_line_events
from tollkeeper.service.invoicing.statements import invoice_statement
from tollkeeper.service.listing import find_record
from tollkeeper.store.invoices import Invoice

if TYPE_CHECKING:
    from litestar.di import NamedDependency
    from litestar.params import FromPath

    from tollkeeper.dashboard.pages import Pages
    from tollkeeper.service.bootstrap import Service

__all__ = ["LINE_PAGES"]

PAGE = 50


@get("/invoices/{invoice:str}/lines/{n:int}", sync_to_thread=True)
def one_line(
    request: Request[Any, Any, Any],
    pages: NamedDependency[Pages],
    service: NamedDependency[Service],
    invoice: FromPath[str],
    n: FromPath[int],
) -> Response[bytes]:
    """Show a page of the calls that a line charges, oldest first, each with the way to its request."""
    view = parse_view(request)
    after = view.query.get("after") or None
    with service.catalog.reading() as records:
        found = find_record(records, Invoice, invoice)
        customer = find_record(records, Customer, found.customer)
        parts = show_parts(records, invoice_statement(found))
    wanted = [(part, line) for part in parts for line in part.lines if line.n == n]
    if not wanted:
        raise NotFoundError(f"The invoice has no line {n}: open one from its page.")
    ((part, line),) = wanted
    listed = list_line_events(service, found.id, n, after=after, limit=PAGE)
    return pages.render(
        request,
        "line.html",
        view=view,
        invoice=found,
        customer=customer,
        part=part,
        line=line,
        events=listed.items,
        after=after,
        following=listed.next,
    )


LINE_PAGES = (one_line,)
