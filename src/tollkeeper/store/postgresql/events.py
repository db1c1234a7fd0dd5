"""Events in PostgreSQL: appended by group, folded into roll-ups, read back."""

from __future__ import annotations

import contextlib
from functools import partial
from typing import TYPE_CHECKING, Any

from psycopg import errors

from tollkeeper.errors import StoreError
from tollkeeper.store.postgresql.dimensions import assign_numbers
from tollkeeper.store.postgresql.folding import backlog, fold_events
from tollkeeper.store.postgresql.inserting import insert_events
from tollkeeper.store.postgresql.partitions import Partitions
from tollkeeper.store.postgresql.select import select, statement
from tollkeeper.store.postgresql.usage import reading
from tollkeeper.store.postgresql.walking import walk_events
from tollkeeper.store.protocols import LedgerRow, StoredEvent
from tollkeeper.store.sql.books import books, receipts
from tollkeeper.store.sql.callers import count_consumers
from tollkeeper.store.sql.dimensions import Dimensions
from tollkeeper.store.sql.pages import read_page
from tollkeeper.store.sql.rows import SELECT_EVENT, event_from_row, row_from_event
from tollkeeper.store.sql.tally import read_tally
from tollkeeper.store.sql.usage import read_usage

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Iterator, Sequence

    from tollkeeper.billing.tally import Tally
    from tollkeeper.events.codec import DecodedBatch
    from tollkeeper.events.receipt import Receipt
    from tollkeeper.metering.usage import Filters, UsageQuery, UsageRow
    from tollkeeper.store.postgresql.connections import Connections
    from tollkeeper.store.protocols import EventSpan

    Batches = Sequence[tuple[str, DecodedBatch]]

__all__ = ["PostgreSQLEventStore"]

ATTEMPTS = 3
AGAIN = (errors.DeadlockDetected, errors.SerializationFailure, errors.CheckViolation)
"""What may go well at the next attempt: the last one says that somebody took a partition away."""
ADD_TO_LEDGER = """
    INSERT INTO ledger (source_id, received, stored, duplicate, rejected)
    SELECT * FROM unnest(?::integer[], ?::bigint[], ?::bigint[], ?::bigint[], ?::bigint[])
    ON CONFLICT (source_id) DO UPDATE SET received = ledger.received + excluded.received,
        stored = ledger.stored + excluded.stored, duplicate = ledger.duplicate + excluded.duplicate,
        rejected = ledger.rejected + excluded.rejected
"""
PRESENT = "SELECT source_id, COUNT(*) AS present FROM event GROUP BY source_id"
NOT_COUNTED = "SELECT NULL::integer AS source_id, NULL::bigint AS present"
LEDGER = """
    SELECT name, COALESCE(received, 0), COALESCE(stored, 0), COALESCE(duplicate, 0), COALESCE(rejected, 0), present
    FROM source LEFT JOIN ledger USING (source_id) LEFT JOIN ({present}) AS counted USING (source_id)
    ORDER BY name COLLATE "C"
"""

NEWEST = "SELECT seq FROM position"


class PostgreSQLEventStore:
    """The ``EventStore`` of one database; any number of threads, processes and nodes may share it.

    An append holds the row of ``position`` from the moment that it numbers its events until it is committed. So the
    order of ``seq`` is the order of commits: a snapshot that holds an event holds all below it, and the watermark never
    passes one that is still to come. Nobody else waits for that row, and it is held for the writing alone: ids are
    checked before.
    """

    def __init__(self, connections: Connections) -> None:
        self._connections = connections
        self._dimensions = Dimensions(partial(assign_numbers, connections))
        self._partitions = Partitions(connections)

    def append(self, batches: Batches) -> list[Receipt]:
        """Store batches in one durable transaction; see ``EventStore``."""
        with self._connections.appending:
            events = [event for _, batch in batches for event in batch.events]
            self._dimensions.learn((source for source, batch in batches if batch.errors), events)
            rows = [[row_from_event(event, self._dimensions) for event in batch.events] for _, batch in batches]
            return receipts(batches, self._store_again(batches, rows, ATTEMPTS))

    def _store_again(self, batches: Batches, rows: list[list[tuple[Any, ...]]], attempts: int) -> list[Counter[int]]:
        self._partitions.prepare(row[2] for batch in rows for row in batch)
        try:
            return self._store(batches, rows)
        except StoreError as error:
            if attempts == 1 or not isinstance(error.__cause__, AGAIN):
                raise
        self._partitions.forget()
        return self._store_again(batches, rows, attempts - 1)

    def _store(self, batches: Batches, rows: list[list[tuple[Any, ...]]]) -> list[Counter[int]]:
        with self._connections.write() as session:
            stored = insert_events(session, rows)
            if added := books(batches, rows, stored, self._dimensions.source):
                session.execute(statement(ADD_TO_LEDGER), tuple(map(list, zip(*added, strict=True))))
        return stored

    def fold(self, limit: int) -> int:
        """Fold events behind the watermark; who comes second at the same events folds nothing."""
        return fold_events(self._connections, limit)

    def usage(self, query: UsageQuery) -> list[UsageRow]:
        """Answer a query from roll-ups and, for what they do not hold yet or cut too coarsely, from events."""
        with self._connections.read() as session:
            return read_usage(reading(session), query)

    def count_consumers(self, query: UsageQuery) -> dict[int, int]:
        """Count who called, by bucket."""
        with self._connections.read() as session:
            return count_consumers(reading(session), query)

    def tally(self, after: int, limit: int, *, step: int) -> tuple[list[Tally], int]:
        """Add up what consumers used behind a place."""
        with self._connections.read() as session:
            ((newest,),) = select(session, NEWEST, ())
            return read_tally(partial(select, session), newest, after, limit, step)

    def last_seq(self) -> int:
        """The place of the newest event."""
        with self._connections.read() as session:
            ((newest,),) = select(session, NEWEST, ())
        return int(newest)

    def page(
        self, filters: Filters, *, before: tuple[int, int] | None, after: tuple[int, int] | None, limit: int
    ) -> list[StoredEvent]:
        """List events, newest first."""
        with self._connections.read() as session:
            return read_page(partial(select, session), filters, before=before, after=after, limit=limit)

    def get(self, seq: int) -> StoredEvent | None:
        """Look one event up by its place."""
        with self._connections.read() as session:
            rows = select(session, f"{SELECT_EVENT.format(event='event')} WHERE seq = ?", (seq,))
        return event_from_row(rows[0]) if rows else None

    @contextlib.contextmanager
    def walk(
        self, span: EventSpan, groups: Sequence[Sequence[str]] | None
    ) -> Iterator[Iterator[tuple[int, StoredEvent]]]:
        """Read events group by group, on a session of its own; see ``EventStore``."""
        with self._connections.read() as session, contextlib.closing(walk_events(session, span, groups)) as events:
            yield events

    def ledger(self, *, recount: bool) -> list[LedgerRow]:
        """Read the books; a recount goes through all events."""
        with self._connections.read() as session:
            rows = select(session, LEDGER.format(present=PRESENT if recount else NOT_COUNTED), ())
        return [
            LedgerRow(
                source=name,
                received=came,
                stored=new,
                duplicate=again,
                rejected=bad,
                present=int(present or 0) if recount else None,
            )
            for name, came, new, again, bad, present in rows
        ]

    def backlog(self) -> int:
        """How many events wait to be folded."""
        with self._connections.read() as session:
            return backlog(session)

    def close(self) -> None:
        """Close the sessions; idempotent."""
        self._connections.close()
