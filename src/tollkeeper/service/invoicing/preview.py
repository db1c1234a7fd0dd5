"""What a customer's invoices of a month come to by now, without writing anything."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

from tollkeeper.billing.customer import Customer
from tollkeeper.billing.statement import Statement
from tollkeeper.service.invoicing.keeping import whole_bases
from tollkeeper.service.invoicing.months import month_span
from tollkeeper.service.invoicing.planning import plan_work
from tollkeeper.service.invoicing.run import check_begun
from tollkeeper.service.invoicing.statements import state
from tollkeeper.service.invoicing.surroundings import load_surroundings, seller_of
from tollkeeper.service.invoicing.working import work_out
from tollkeeper.service.listing import find_record

if TYPE_CHECKING:
    from datetime import datetime

    from tollkeeper.service.bootstrap import Service

__all__ = ["Preview", "draft_of"]


class Preview(Struct, frozen=True):
    """What the next invoices say, by currency, and what was used and can't be charged."""

    statements: dict[str, Statement]
    problems: tuple[str, ...]


def draft_of(service: Service, customer_id: str, month: str, now: datetime) -> Preview:
    """Work out what a customer's invoices of a month say by now; nothing when they are final.

    Raises NotFoundError, and InvalidRequestError for no month or one that has not begun.
    """
    check_begun(month, now)
    with service.catalog.reading() as records:
        customer = find_record(records, Customer, customer_id)
        around = load_surroundings(records, [customer])[customer.id]
    until = service.events.last_seq()
    works = plan_work(service, month, [customer.id], until).works
    end = month_span(month, customer.time_zone).end
    for worked in list(work_out(service, month, works, until)):
        bases = whole_bases(worked, around, end)
        stated = {currency: state(basis, around, seller_of(service.settings), end) for currency, basis in bases.items()}
        return Preview(stated, worked.problems)
    return Preview({}, ())
