"""What credit notes gave back, which comes off in the month in which they were issued."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

from tollkeeper.billing.credit_note import CreditNote
from tollkeeper.billing.money import to_minor
from tollkeeper.billing.packing import unpack
from tollkeeper.store.invoices import InvoiceLine, IssuedCreditNote

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from tollkeeper.store.protocols import Records

__all__ = ["Credited", "credited_lines", "credited_notes"]

PAGE = 500


class Credited(Struct, frozen=True):
    """What a note gave back of a line: ``net`` in minor units, without taxes."""

    line: InvoiceLine
    net: int


def _notes_between(records: Records, start: datetime, end: datetime) -> Iterator[list[IssuedCreditNote]]:
    """Credit notes that were issued in ``[start, end)``, page by page; no invoice with one can be voided."""
    after: str | None = None
    while page := records.page(IssuedCreditNote, after=after, limit=PAGE, start=start, end=end):
        after = page[-1].id
        yield page


def credited_notes(records: Records, start: datetime, end: datetime) -> Iterator[tuple[IssuedCreditNote, int]]:
    """Credit notes that were issued in ``[start, end)``, with their net in minor units."""
    for page in _notes_between(records, start, end):
        for note in page:
            yield note, to_minor(note.net, note.currency)


def credited_lines(records: Records, start: datetime, end: datetime) -> Iterator[Credited]:
    """What notes that were issued in ``[start, end)`` gave back, line by line."""
    for page in _notes_between(records, start, end):
        invoices = sorted({note.invoice for note in page})
        lines = {(line.invoice, line.n): line for line in records.find(InvoiceLine, invoice=invoices)}
        for note in page:
            for number, amount in unpack(note.document, CreditNote).lines.items():
                yield Credited(lines[note.invoice, number + 1], to_minor(amount, note.currency))
