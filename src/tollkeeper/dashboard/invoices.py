"""The list of invoices, as a page and as CSV."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from litestar import Request, Response, get
from msgspec import Struct

from tollkeeper.billing.customer import Customer
from tollkeeper.dashboard.tables import to_csv
from tollkeeper.dashboard.view import View, parse_view
from tollkeeper.errors import InvalidRequestError
from tollkeeper.service.customer_search import customers_called
from tollkeeper.service.listing import Listed, list_records
from tollkeeper.store.invoices import Invoice

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from litestar.di import NamedDependency

    from tollkeeper.dashboard.pages import Pages
    from tollkeeper.service.bootstrap import Service
    from tollkeeper.store.protocols import Records

__all__ = ["INVOICE_PAGES", "InvoiceRow", "invoice_rows"]

PAGE = 50
CSV_PAGE = 1_000
FILTERS = ("state", "month", "customer")
STATES = {"draft": "Draft", "finalized": "Finalized", "paid": "Paid", "void": "Void"}
MONTH = re.compile(r"[0-9]{4}-(0[1-9]|1[0-2])")
HEAD = [
    *("id", "number", "customer", "customer_name", "period", "attempt", "state", "currency", "starts_at", "ends_at"),
    *("subtotal", "discount", "net", "tax", "total", "due", "credit", "at", "due_at", "paid_at", "voided_at"),
]


class InvoiceRow(Struct, frozen=True, kw_only=True):
    """An invoice in a list; its ``state`` is overdue when it is to be paid and its time is over."""

    invoice: Invoice
    customer: Customer
    state: str


@get("/invoices", sync_to_thread=True)
def invoices(
    request: Request[Any, Any, Any], pages: NamedDependency[Pages], service: NamedDependency[Service]
) -> Response[bytes]:
    """List invoices, newest first."""
    view = parse_view(request)
    chosen = _chosen(view)
    after = view.query.get("after") or None
    with service.catalog.reading() as records:
        wanted = customers_called(records, chosen["customer"]) if "customer" in chosen else None
        listed = _page(records, chosen, wanted, after, PAGE)
        rows = invoice_rows(records, listed.items)
    return pages.render(
        request,
        "invoices.html",
        view=view,
        rows=rows,
        chosen=chosen,
        customer=wanted[0].name if wanted else chosen.get("customer"),
        states=STATES,
        after=after,
        following=listed.next,
    )


@get("/invoices.csv", sync_to_thread=True)
def invoices_csv(request: Request[Any, Any, Any], service: NamedDependency[Service]) -> Response[bytes]:
    """Send all invoices that match."""
    return to_csv("invoices", HEAD, _csv_rows(service, _chosen(parse_view(request))))


def invoice_rows(records: Records, found: Sequence[Invoice]) -> list[InvoiceRow]:
    """Invoices with the names of their customers, as a list shows them."""
    now = datetime.now(UTC)
    customers = {one.id: one for one in records.find(Customer, id=sorted({one.customer for one in found}))}
    return [
        InvoiceRow(
            invoice=one,
            customer=customers[one.customer],
            state="overdue" if one.state == "finalized" and one.due_at is not None and one.due_at < now else one.state,
        )
        for one in found
    ]


def _chosen(view: View) -> dict[str, str]:
    chosen = {name: view.query[name] for name in FILTERS if view.query.get(name)}
    if "state" in chosen and chosen["state"] not in STATES:
        raise InvalidRequestError(f"state is {chosen['state'][:40]!r}: choose one of {', '.join(STATES)}.")
    if "month" in chosen and not MONTH.fullmatch(chosen["month"]):
        raise InvalidRequestError(f"month is {chosen['month'][:40]!r}: write it as 2026-10.")
    return chosen


def _page(
    records: Records, chosen: Mapping[str, str], customers: list[Customer] | None, after: str | None, limit: int
) -> Listed[Invoice]:
    return list_records(
        records,
        Invoice,
        after=after,
        limit=limit,
        newest_first=True,
        customer=None if customers is None else [customer.id for customer in customers],
        state=chosen.get("state"),
        period=chosen.get("month"),
    )


def _csv_rows(service: Service, chosen: Mapping[str, str]) -> Iterator[list[Any]]:
    after: str | None = None
    while True:
        with service.catalog.reading() as records:
            wanted = customers_called(records, chosen["customer"]) if "customer" in chosen else None
            listed = _page(records, chosen, wanted, after, CSV_PAGE)
            rows = invoice_rows(records, listed.items)
        for row in rows:
            yield [row.customer.name if name == "customer_name" else _cell(getattr(row.invoice, name)) for name in HEAD]
        after = listed.next
        if after is None:
            return


def _cell(value: Any) -> Any:
    return value.isoformat() if hasattr(value, "isoformat") else value


INVOICE_PAGES = (invoices, invoices_csv)
