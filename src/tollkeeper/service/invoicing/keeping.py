"""Keeping what was worked out, as drafts or final invoices, within a transaction."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

from msgspec import Struct, field
from msgspec.structs import replace

from tollkeeper.billing.money import total
from tollkeeper.errors import UnprocessableError
from tollkeeper.service.invoicing.finalizing import issue
from tollkeeper.service.invoicing.lines import forget_lines, keep_lines
from tollkeeper.service.invoicing.months import month_span
from tollkeeper.service.invoicing.past import FINAL
from tollkeeper.service.invoicing.statements import Basis, invoice_record, state
from tollkeeper.service.invoicing.surroundings import load_surroundings, seller_of

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from datetime import datetime

    from tollkeeper.service.audit import Edit
    from tollkeeper.service.invoicing.surroundings import Surroundings
    from tollkeeper.service.invoicing.working import Worked
    from tollkeeper.settings import Settings
    from tollkeeper.store.invoices import Invoice

__all__ = ["Kept", "keep_worked", "whole_bases"]

NOTHING = Decimal(0)


class Kept(Struct, kw_only=True):
    """What became of customers: how many drafts were made or changed, and so on, and totals by currency."""

    made: int = 0
    finalized: int = 0
    unchanged: int = 0
    without_lines: int = 0
    problems: list[str] = field(default_factory=list)
    totals: dict[str, Decimal] = field(default_factory=dict)

    def count(self, invoice: Invoice, *, is_new: bool) -> None:
        """Add an invoice, which may say nothing new."""
        self.totals[invoice.currency] = total(
            (self.totals.get(invoice.currency, NOTHING), invoice.total), invoice.currency
        )
        if invoice.state != "draft":
            self.finalized += 1
        elif is_new:
            self.made += 1
        else:
            self.unchanged += 1


def whole_bases(worked: Worked, around: Surroundings, end: datetime) -> dict[str, Basis]:
    """What was worked out with the one-off lines that belong onto it, by currency; none that has no line.

    Raises UnprocessableError when nothing could be charged.
    """
    if worked.failure is not None:
        raise UnprocessableError(worked.failure)
    currencies = sorted({*worked.bases, *(item.currency for item in around.items)})
    found = {
        currency: replace(
            worked.bases.get(currency, Basis(currency=currency)), items=tuple(around.items_for(currency, end))
        )
        for currency in currencies
    }
    return {currency: basis for currency, basis in found.items() if basis.charges or basis.items}


def keep_worked(
    edit: Edit,
    settings: Settings,
    worked: Worked,
    existing: Sequence[Invoice],
    *,
    month: str,
    around: Surroundings,
    final: bool,
    kept: Kept,
) -> None:
    """Put a customer's drafts of a month in the place of those that ``existing`` are, and make them ``final``.

    What is final already stays. A draft that has nothing to say any longer is taken away.
    """
    customer = worked.customer
    who, span = f"{customer.id} ({customer.name})", month_span(month, customer.time_zone)
    try:
        bases = _open_bases(worked, around, span.end, existing)
        stated = {currency: state(basis, around, seller_of(settings), span.end) for currency, basis in bases.items()}
    except UnprocessableError as error:
        kept.problems.append(f"{who}: {error.detail}")
        return
    kept.problems += [f"{who}: {problem}" for problem in worked.problems]
    kept.without_lines += not stated
    _forget_silent(edit, existing, stated)
    for currency, statement in stated.items():
        made = invoice_record(statement, customer=customer.id, period=month, span=(span.start, span.end), now=edit.now)
        draft, is_new = _put(edit, made, existing)
        if final:
            draft = issue(edit, settings, draft, bases[currency], around=around, apis=worked.apis)
            if len(stated) > 1:  # the next one finds what this one left
                around = load_surroundings(edit.records, [customer])[customer.id]
        elif is_new:
            keep_lines(edit.records, draft, statement, worked.apis)
        kept.count(draft, is_new=is_new)


def _open_bases(worked: Worked, around: Surroundings, end: datetime, existing: Sequence[Invoice]) -> dict[str, Basis]:
    """What is charged in the currencies that have no final invoice."""
    final = {one.currency for one in existing if one.state in FINAL}
    return {currency: basis for currency, basis in whole_bases(worked, around, end).items() if currency not in final}


def _forget_silent(edit: Edit, existing: Sequence[Invoice], stated: Collection[str]) -> None:
    """Take the drafts away in whose currency there is nothing to say any longer."""
    for draft in existing:
        if draft.state == "draft" and draft.currency not in stated:
            forget_lines(edit.records, draft)
            edit.remove(draft)


def _put(edit: Edit, made: Invoice, existing: Sequence[Invoice]) -> tuple[Invoice, bool]:
    """Have a draft in the store, the one that was there or a new one, and whether it says anything new."""
    mine = [one for one in existing if one.currency == made.currency]
    before = next((one for one in mine if one.state == "draft"), None)
    if before is None:
        made = replace(made, attempt=max((one.attempt for one in mine), default=0) + 1)
        edit.add(made)
        return made, True
    if before.digest == made.digest:
        return before, False
    kept = replace(made, id=before.id, attempt=before.attempt, created_at=before.created_at)
    edit.replace(before, kept)
    return kept, True
