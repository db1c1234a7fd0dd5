"""The proof that nothing was lost: the books against a recount of what is there."""

from __future__ import annotations

from msgspec import Struct

from tollkeeper.metering.usage import UsageQuery
from tollkeeper.service.periods import END_OF_TIME
from tollkeeper.store.protocols import EventStore, LedgerRow

__all__ = ["Reconciliation", "reconcile"]


class Reconciliation(Struct, frozen=True, kw_only=True):
    """The books by source, and ``problems``: a sentence for each thing that does not add up; none when law 2 holds."""

    books: list[LedgerRow]
    rolled_up: int
    problems: list[str]


def reconcile(store: EventStore) -> Reconciliation:
    """Check that received = stored + duplicate + rejected, stored = present, and that roll-ups count as many."""
    before = store.ledger(recount=True)
    rows = store.usage(UsageQuery(start=0, end=END_OF_TIME))
    books = store.ledger(recount=True)
    problems = [problem for row in books for problem in _problems(row)]
    rolled_up = rows[0].totals.requests if rows else 0
    least, most = _present(before), _present(books)
    if not least <= rolled_up <= most:
        problems.append(f"The roll-ups count {rolled_up} requests, but {most} events are present.")
    return Reconciliation(books=books, rolled_up=rolled_up, problems=problems)


def _present(books: list[LedgerRow]) -> int:
    return sum(row.present or 0 for row in books)


def _problems(row: LedgerRow) -> list[str]:
    problems = []
    accounted = row.stored + row.duplicate + row.rejected
    if row.received != accounted:
        problems.append(f"{row.source}: received {row.received}, but stored + duplicate + rejected make {accounted}.")
    if row.stored != row.present:
        problems.append(f"{row.source}: {row.stored} events were stored, but {row.present} are present.")
    return problems
