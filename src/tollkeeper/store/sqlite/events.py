"""Events in one SQLite file: appended by group, folded into roll-ups, read back."""

from __future__ import annotations

import contextlib
from functools import partial
from typing import TYPE_CHECKING

from tollkeeper.store.protocols import LedgerRow, StoredEvent
from tollkeeper.store.sql.books import books, receipts
from tollkeeper.store.sql.callers import count_consumers
from tollkeeper.store.sql.dimensions import Dimensions
from tollkeeper.store.sql.pages import read_page
from tollkeeper.store.sql.rows import SELECT_EVENT, event_from_row, row_from_event
from tollkeeper.store.sql.tally import read_tally
from tollkeeper.store.sql.usage import read_usage
from tollkeeper.store.sqlite.dimensions import assign_numbers
from tollkeeper.store.sqlite.folding import fold_events
from tollkeeper.store.sqlite.inserting import insert_events
from tollkeeper.store.sqlite.usage import reading, select
from tollkeeper.store.sqlite.walking import walk_events

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tollkeeper.billing.tally import Tally
    from tollkeeper.events.codec import DecodedBatch
    from tollkeeper.events.receipt import Receipt
    from tollkeeper.metering.usage import Filters, UsageQuery, UsageRow
    from tollkeeper.store.protocols import EventSpan
    from tollkeeper.store.sqlite.connections import Connections

__all__ = ["SQLiteEventStore"]

ADD_TO_LEDGER = """
    INSERT INTO ledger (source_id, received, stored, duplicate, rejected) VALUES (?, ?, ?, ?, ?)
    ON CONFLICT (source_id) DO UPDATE SET received = received + excluded.received, stored = stored + excluded.stored,
        duplicate = duplicate + excluded.duplicate, rejected = rejected + excluded.rejected
"""

NEWEST = "SELECT COALESCE(MAX(seq), 0) FROM event"


class SQLiteEventStore:
    """The ``EventStore`` of one file; several processes may open it at once.

    SQLite commits one transaction at a time and numbers rows within it, so the order of ``seq`` is the order of
    commits: everything up to the last that a reader sees is there, and the watermark never passes a row still to come.
    """

    def __init__(self, connections: Connections) -> None:
        self._connections = connections
        self._dimensions = Dimensions(partial(assign_numbers, connections))

    def append(self, batches: Sequence[tuple[str, DecodedBatch]]) -> list[Receipt]:
        """Store batches in one durable transaction; see ``EventStore``."""
        with self._connections.appending:
            events = [event for _, batch in batches for event in batch.events]
            self._dimensions.learn((source for source, batch in batches if batch.errors), events)
            rows = [[row_from_event(event, self._dimensions) for event in batch.events] for _, batch in batches]
            with self._connections.write() as connection:
                stored = insert_events(connection, rows)
                connection.executemany(ADD_TO_LEDGER, books(batches, rows, stored, self._dimensions.source))
        return receipts(batches, stored)

    def fold(self, limit: int) -> int:
        """Fold events behind the watermark; who comes second at the same events folds nothing."""
        return fold_events(self._connections, limit)

    def usage(self, query: UsageQuery) -> list[UsageRow]:
        """Answer a query from roll-ups and, for what they do not hold yet or cut too coarsely, from events."""
        with self._connections.read() as connection:
            return read_usage(reading(connection), query)

    def count_consumers(self, query: UsageQuery) -> dict[int, int]:
        """Count who called, by bucket."""
        with self._connections.read() as connection:
            return count_consumers(reading(connection), query)

    def tally(self, after: int, limit: int, *, step: int) -> tuple[list[Tally], int]:
        """Add up what consumers used behind a place."""
        with self._connections.read() as connection:
            ((newest,),) = connection.execute(NEWEST)
            return read_tally(partial(select, connection), newest, after, limit, step)

    def last_seq(self) -> int:
        """The place of the newest event."""
        with self._connections.read() as connection:
            ((newest,),) = connection.execute(NEWEST)
        return int(newest)

    def page(
        self, filters: Filters, *, before: tuple[int, int] | None, after: tuple[int, int] | None, limit: int
    ) -> list[StoredEvent]:
        """List events, newest first."""
        with self._connections.read() as connection:
            return read_page(partial(select, connection), filters, before=before, after=after, limit=limit)

    def get(self, seq: int) -> StoredEvent | None:
        """Look one event up by its place."""
        with self._connections.read() as connection:
            row = connection.execute(f"{SELECT_EVENT.format(event='event')} WHERE seq = ?", (seq,)).fetchone()
        return event_from_row(row) if row else None

    @contextlib.contextmanager
    def walk(
        self, span: EventSpan, groups: Sequence[Sequence[str]] | None
    ) -> Iterator[Iterator[tuple[int, StoredEvent]]]:
        """Read events group by group, on a connection of its own; see ``EventStore``."""
        with (
            self._connections.read() as connection,
            contextlib.closing(walk_events(connection, span, groups)) as events,
        ):
            yield events

    def ledger(self, *, recount: bool) -> list[LedgerRow]:
        """Read the books; a recount walks the index of identities."""
        present = "(SELECT COUNT(*) FROM event WHERE event.source_id = source.source_id)" if recount else "NULL"
        query = f"""
            SELECT name, COALESCE(received, 0), COALESCE(stored, 0), COALESCE(duplicate, 0),
                COALESCE(rejected, 0), {present}
            FROM source LEFT JOIN ledger USING (source_id) ORDER BY name
        """
        with self._connections.read() as connection:
            return [
                LedgerRow(source=name, received=came, stored=new, duplicate=again, rejected=bad, present=present)
                for name, came, new, again, bad, present in connection.execute(query)
            ]

    def backlog(self) -> int:
        """How far the watermark is behind; rows are numbered without a gap."""
        with self._connections.read() as connection:
            (count,) = connection.execute(
                "SELECT COALESCE((SELECT MAX(seq) FROM event), 0) - (SELECT folded FROM watermark)"
            ).fetchone()
        return int(count)

    def close(self) -> None:
        """Close the file; idempotent."""
        self._connections.close()
