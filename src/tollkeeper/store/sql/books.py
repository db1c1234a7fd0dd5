"""What is told to senders, and what the ledger is told, of the same batches."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from tollkeeper.events.receipt import Receipt

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tollkeeper.events.codec import DecodedBatch

    Batches = Sequence[tuple[str, DecodedBatch]]

__all__ = ["books", "receipts"]


def receipts(batches: Batches, stored: Sequence[Counter[int]]) -> list[Receipt]:
    """A receipt for each batch, of which so many events were new, by source."""
    return [
        Receipt(
            received=batch.received,
            stored=new.total(),
            duplicate=len(batch.events) - new.total(),
            rejected=len(batch.errors),
            errors=batch.errors,
        )
        for (_, batch), new in zip(batches, stored, strict=True)
    ]


def books(
    batches: Batches,
    rows: Sequence[Sequence[tuple[Any, ...]]],
    stored: Sequence[Counter[int]],
    number: Callable[[str], int],
) -> list[tuple[int, int, int, int, int]]:
    """What to add to the ledger, in the order of the sources: source, received, stored, duplicate, rejected.

    A row begins with the number of its source; ``number`` knows that of the source that errors are booked on.
    """
    arrived: Counter[int] = Counter(row[0] for batch in rows for row in batch)
    new: Counter[int] = sum(stored, Counter())
    rejected: Counter[int] = Counter()
    for source, batch in batches:
        if batch.errors:
            rejected[number(source)] += len(batch.errors)
    return [
        (source, arrived[source] + rejected[source], new[source], arrived[source] - new[source], rejected[source])
        for source in sorted(arrived.keys() | rejected.keys())
    ]
