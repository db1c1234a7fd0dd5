"""The very events that a line of an invoice charges."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from tollkeeper.billing.recomputing import charge_filter
from tollkeeper.errors import InvalidRequestError, NotFoundError
from tollkeeper.events.timestamps import to_microseconds
from tollkeeper.service.invoicing.past import part_key
from tollkeeper.service.invoicing.statements import invoice_statement
from tollkeeper.service.listing import MAX_LIMIT, Listed, find_record
from tollkeeper.store.invoices import Invoice
from tollkeeper.store.protocols import EventSpan, StoredEvent

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from tollkeeper.billing.charge import Charge
    from tollkeeper.billing.statement import ChargedPart
    from tollkeeper.events.event import UsageEvent
    from tollkeeper.service.bootstrap import Service
    from tollkeeper.store.protocols import Records

__all__ = ["list_line_events"]

CURSOR = re.compile(r"(\d{1,18})\.(\d{1,18})", re.ASCII)


def list_line_events(
    service: Service, invoice_id: str, n: int, *, after: str | None = None, limit: int = 50
) -> Listed[StoredEvent]:
    """List up to ``limit`` events behind a cursor that the line ``n``, from 1, charges, oldest first.

    Of a line of late usage those that no earlier invoice charged, of one that takes calls off those that one did; of
    one that only changes what calls cost, all. A fee charges none. Raises NotFoundError, InvalidRequestError for a
    cursor or a limit that can't be.
    """
    if not 1 <= limit <= MAX_LIMIT:
        raise InvalidRequestError(f"limit is {limit}: give 1 to {MAX_LIMIT}.")
    behind = _place(after)
    found: list[StoredEvent] = []
    for stored in _walk_line(service, invoice_id, n, behind[0]):
        if (stored.event.time_us, stored.seq) > behind:
            found.append(stored)
        if len(found) > limit:
            break
    items = found[:limit]
    return Listed(items, f"{items[-1].event.time_us}.{items[-1].seq}" if len(found) > limit else None)


def _walk_line(service: Service, invoice_id: str, n: int, since: int) -> Iterator[StoredEvent]:
    """All events that a line charges, in order of time, from a time (µs) on; raises NotFoundError."""
    with service.catalog.reading() as records:
        invoice = find_record(records, Invoice, invoice_id)
        statement = invoice_statement(invoice)
        if not 1 <= n <= len(statement.charges):
            raise NotFoundError(f"The invoice has no line {n}: give one from 1 to {len(statement.charges)}.")
        stated = statement.charges[n - 1]
        part = None if stated.part is None else statement.parts[stated.part]
        before = {} if part is None else _before(records, part, {})
    if part is None or stated.charge.price is None:
        return
    charges = _charged_by(stated.charge, part, before)
    span = EventSpan(
        start=max(to_microseconds(part.start), since), end=to_microseconds(part.end), until=part.until, whole=True
    )
    keys = sorted({key for one in (part, *before.values()) for key in one.keys})
    if span.start >= span.end or not keys:
        return
    with service.events.walk(span, [keys]) as found:
        for _, stored in found:
            if charges(stored.seq, stored.event):
                yield stored


def _before(records: Records, part: ChargedPart, found: dict[str, ChargedPart]) -> dict[str, ChargedPart]:
    """The same part as the invoices before had it, and those before them, by their ids."""
    for invoice in records.find(Invoice, id=[one for one in part.earlier if one not in found]):
        for one in invoice_statement(invoice).parts:
            if part_key(one) == part_key(part):
                found[invoice.id] = one
                _before(records, one, found)
    return found


def _charged_by(
    charge: Charge, part: ChargedPart, before: Mapping[str, ChargedPart]
) -> Callable[[int, UsageEvent], bool]:
    filters = {invoice: charge_filter(one, charge.price) for invoice, one in before.items()}
    now = charge_filter(part, charge.price)

    def was_charged(ids: Iterable[str], seq: int, event: UsageEvent) -> bool:
        """Whether one of some invoices charged it: it had the event, and those before that one had not charged it."""
        return any(
            filters[one](seq, event) and not was_charged(before[one].earlier, seq, event)
            for one in ids
            if one in before
        )

    def charges(seq: int, event: UsageEvent) -> bool:
        is_there, is_old = now(seq, event), was_charged(part.earlier, seq, event)
        if not before or not charge.quantity:
            return is_there or is_old
        return is_there and not is_old if charge.quantity > 0 else is_old and not is_there

    return charges


def _place(cursor: str | None) -> tuple[int, int]:
    if cursor is None:
        return 0, 0
    found = CURSOR.fullmatch(cursor)
    if found is None:
        raise InvalidRequestError(
            f"The cursor {cursor[:100]!r} is none of ours: take it from the page before, or leave it out."
        )
    return int(found[1]), int(found[2])
