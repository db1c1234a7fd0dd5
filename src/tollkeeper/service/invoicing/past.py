"""What a customer's other invoices billed, so that nothing is billed twice and what is late is billed by difference."""

from __future__ import annotations

from collections import defaultdict
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from tollkeeper.billing.charge import Charge
from tollkeeper.billing.statement import ChargedPart
from tollkeeper.service.invoicing.months import month_after, months_before
from tollkeeper.service.invoicing.statements import invoice_statement
from tollkeeper.store.invoices import Invoice

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from tollkeeper.billing.statement import Statement
    from tollkeeper.store.protocols import Records

__all__ = ["FINAL", "BilledPart", "PartKey", "billed_parts", "load_past"]

FINAL = ["finalized", "paid"]
NOTHING = Decimal(0)
MONTHS = 13
"""How long what comes late is looked for."""
PartKey = tuple[str, datetime, datetime]


class BilledPart(Struct, frozen=True, kw_only=True):
    """A part as it was billed first, with all that was charged for it since, by the invoices with these ids."""

    part: ChargedPart
    charges: tuple[Charge, ...]
    invoices: tuple[str, ...]
    months: tuple[str | None, ...]

    def again(self) -> ChargedPart:
        """The part as it is rated anew: what it was charged comes off."""
        return replace(
            self.part, keys=(), calls=(), prices=(), until=0, before=self.charges, earlier=self.invoices, left=NOTHING
        )


def final_ids(records: Records, customers: Sequence[str], month: str, *, of_past: bool = False) -> dict[str, set[str]]:
    """The ids of the final invoices of customers from a month to 13 after it; ``of_past`` from 13 before it."""
    months = around(month) if of_past else _from(month)
    found: dict[str, set[str]] = {customer: set() for customer in customers}
    for invoice in records.find(Invoice, customer=list(customers), period=months, state=FINAL):
        found[invoice.customer].add(invoice.id)
    return found


def load_past(records: Records, customers: Sequence[str], month: str) -> dict[str, list[tuple[Invoice, Statement]]]:
    """The final invoices of customers from 13 months before a month to 13 after it, in the order of their making."""
    months = around(month)
    found: defaultdict[str, list[tuple[Invoice, Statement]]] = defaultdict(list)
    for invoice in records.find(Invoice, customer=list(customers), period=months, state=FINAL):
        found[invoice.customer].append((invoice, invoice_statement(invoice)))
    return found


def around(month: str) -> list[str]:
    """The months from 13 before a month to 13 after it."""
    return [*months_before(month, MONTHS), *_from(month)]


def billed_parts(past: Iterable[tuple[Invoice, Statement]]) -> dict[PartKey, BilledPart]:
    """What was billed, by part."""
    found: dict[PartKey, BilledPart] = {}
    for invoice, statement in past:
        for place, part in enumerate(statement.parts):
            charges = tuple(one.charge for one in statement.charges if one.part == place)
            now = BilledPart(
                part=part,
                charges=charges,
                invoices=(invoice.id,),
                months=(invoice.period,),
            )
            before = found.get(part_key(part))
            found[part_key(part)] = now if before is None else _both(before, now)
    return found


def part_key(part: ChargedPart) -> PartKey:
    """What tells a part from all others."""
    return part.subscription, part.start, part.end


def _both(before: BilledPart, now: BilledPart) -> BilledPart:
    # The newest knows best what is left of the plan's amount off.
    return replace(
        before,
        part=replace(before.part, left=now.part.left),
        charges=before.charges + now.charges,
        invoices=before.invoices + now.invoices,
        months=before.months + now.months,
    )


def _from(month: str) -> list[str]:
    found = [month]
    for _ in range(MONTHS):
        found.append(month_after(found[-1]))
    return found
