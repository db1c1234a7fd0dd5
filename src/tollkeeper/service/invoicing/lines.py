"""The lines of an invoice as records, for adding up."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec.structs import replace

from tollkeeper.billing.money import to_minor
from tollkeeper.events.ids import record_id
from tollkeeper.service.invoicing.sizes import kept_quantity
from tollkeeper.store.invoices import InvoiceLine

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tollkeeper.billing.statement import ChargedPart, StatedCharge, Statement
    from tollkeeper.store.invoices import Invoice
    from tollkeeper.store.protocols import Records

__all__ = ["forget_lines", "keep_lines", "mark_lines"]


def keep_lines(records: Records, invoice: Invoice, statement: Statement, apis: Mapping[str, str]) -> None:
    """Put the lines of a statement in the place of those that its invoice had; ``apis`` are those of routes, by ids."""
    forget_lines(records, invoice)
    last = ""
    for place, stated in enumerate(statement.charges):
        part = None if stated.part is None else statement.parts[stated.part]
        route = _route_of(stated, part)
        line = statement.invoice.lines[place]
        last = record_id("inl", behind=last)
        records.add(
            InvoiceLine(
                id=last,
                invoice=invoice.id,
                n=place + 1,
                customer=invoice.customer,
                subscription=part.subscription if part else None,
                plan=part.plan.id if part else None,
                api=apis.get(route) if route else None,
                route=route,
                kind=line.kind,
                name=line.name,
                currency=invoice.currency,
                quantity=kept_quantity(line.quantity),
                net=to_minor(line.net, invoice.currency),
                state=invoice.state,
                at=part.start if part else invoice.starts_at,
            )
        )


def mark_lines(records: Records, invoice: Invoice) -> None:
    """Give the lines of an invoice its state."""
    for line in records.find(InvoiceLine, invoice=invoice.id):
        records.replace(replace(line, state=invoice.state))


def forget_lines(records: Records, invoice: Invoice) -> None:
    """Take the lines of an invoice away."""
    for line in records.find(InvoiceLine, invoice=invoice.id):
        records.remove(line)


def _route_of(stated: StatedCharge, part: ChargedPart | None) -> str | None:
    """The id of the route whose calls a charge is for, or takes something off; None when it is of no route."""
    if part is None or stated.charge.price is None:
        return None
    routes = {call.route for call in part.calls}
    used = next((one for one in part.prices if one.price == stated.charge.price), None)
    return used.price if used and used.meter is None and used.price in routes else None
