"""Which parts an invoice of a month rates: those that end in it, and earlier ones of which more is known now."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec.structs import replace

from tollkeeper.billing.charging import billing_parts
from tollkeeper.service.invoicing.months import month_span
from tollkeeper.service.invoicing.past import billed_parts, part_key

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tollkeeper.billing.charging import CustomerAccount
    from tollkeeper.billing.statement import ChargedPart, Statement
    from tollkeeper.service.invoicing.late import Late
    from tollkeeper.service.invoicing.past import BilledPart, PartKey
    from tollkeeper.store.invoices import Invoice

__all__ = ["carries", "parts_to_rate"]

CARRIES = "discount_amount"
"""The kind of plan of which what was not used is carried over."""


def parts_to_rate(
    account: CustomerAccount,
    month: str,
    late: Late | None,
    past: Sequence[tuple[Invoice, Statement]],
) -> list[ChargedPart]:
    """The parts of a month, then those before it in which something is late, by time; ``past`` are the final invoices.

    What another invoice billed is rated again by difference; what one of this month did is left out.
    """
    (customer,) = account.facts.customers
    span, billed = month_span(month, customer.time_zone), billed_parts(past)
    now = billing_parts(account, span.start, span.end)
    current = [part for part in now if month not in _months(billed, part)]
    keys = {part_key(part) for part in now}
    earlier: list[ChargedPart] = []
    if late is not None:
        first = month_span(late.first, customer.time_zone).start
        unbilled = [part for part in billing_parts(account, first, span.start) if part_key(part) not in billed]
        known = [one.again() for key, one in billed.items() if key not in keys]
        earlier = _with_following([part for part in known + unbilled if late.touches(part)], known)
    parts = [billed[part_key(part)].again() if part_key(part) in billed else part for part in current]
    parts += sorted(earlier, key=lambda part: (part.start, part.subscription))
    return [_carrying(part, billed) for part in parts]


def _with_following(changed: list[ChargedPart], billed: Sequence[ChargedPart]) -> list[ChargedPart]:
    """Parts, and those behind them to which was carried over what they left: they may leave less now."""
    found = list(changed)
    left = {(part.subscription, part.end) for part in changed if part.plan.kind == CARRIES}
    for part in sorted(billed, key=lambda part: part.start):
        if part.plan.kind == CARRIES and (part.subscription, part.start) in left:
            left.add((part.subscription, part.end))
            if part not in changed:
                found.append(part)
    return found


def carries(account: CustomerAccount, month: str) -> bool:
    """Whether a part of a month has a plan of which what was not used before is carried over."""
    span = month_span(month, account.facts.customers[0].time_zone)
    return any(part.plan.kind == CARRIES for part in billing_parts(account, span.start, span.end))


def _months(billed: Mapping[PartKey, BilledPart], part: ChargedPart) -> Sequence[str | None]:
    found = billed.get(part_key(part))
    return () if found is None else found.months


def _carrying(part: ChargedPart, billed: Mapping[PartKey, BilledPart]) -> ChargedPart:
    """A part with what the one before it left, as far as that was billed."""
    if part.plan.kind != CARRIES or part.earlier:
        return part
    before = [
        one.part for one in billed.values() if one.part.subscription == part.subscription and one.part.end <= part.start
    ]
    return replace(part, carried=max(before, key=lambda one: one.end).left) if before else part
