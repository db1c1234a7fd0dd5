"""Events in one SQLite file: appended by group, folded into roll-ups, read back."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from tollkeeper.events.receipt import Receipt
from tollkeeper.store.protocols import LedgerRow, StoredEvent
from tollkeeper.store.sqlite.dimensions import Dimensions
from tollkeeper.store.sqlite.folding import WRITE_ROLLUP, fold_rows
from tollkeeper.store.sqlite.inserting import insert_events
from tollkeeper.store.sqlite.pages import read_page
from tollkeeper.store.sqlite.rows import SELECT_EVENT, event_from_row, row_from_event
from tollkeeper.store.sqlite.usage import count_consumers, read_usage

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tollkeeper.events.codec import DecodedBatch
    from tollkeeper.metering.usage import Filters, UsageQuery, UsageRow
    from tollkeeper.store.sqlite.connections import Connections

__all__ = ["SQLiteEventStore"]

ADD_TO_LEDGER = """
    INSERT INTO ledger (source_id, received, stored, duplicate, rejected) VALUES (?, ?, ?, ?, ?)
    ON CONFLICT (source_id) DO UPDATE SET received = received + excluded.received, stored = stored + excluded.stored,
        duplicate = duplicate + excluded.duplicate, rejected = rejected + excluded.rejected
"""
UNFOLDED = """
    SELECT time, consumer_id, route_id, status, elapsed, MAX(bytes, 0), units, seq
    FROM event WHERE seq > ? ORDER BY seq LIMIT ?
"""


class SQLiteEventStore:
    """The ``EventStore`` of one file; several processes may open it at once.

    SQLite commits one transaction at a time and numbers rows within it, so the order of ``seq`` is the order of
    commits: everything up to the last that a reader sees is there, and the watermark never passes a row still to come.
    """

    def __init__(self, connections: Connections) -> None:
        self._connections = connections
        self._dimensions = Dimensions(connections.write)

    def append(self, batches: Sequence[tuple[str, DecodedBatch]]) -> list[Receipt]:
        """Store batches in one durable transaction; see ``EventStore``."""
        with self._connections.appending:
            events = [event for _, batch in batches for event in batch.events]
            self._dimensions.learn((source for source, batch in batches if batch.errors), events)
            rows = [[row_from_event(event, self._dimensions) for event in batch.events] for _, batch in batches]
            with self._connections.write() as connection:
                stored = insert_events(connection, rows)
                books = self._books(batches, rows, stored)
                connection.executemany(ADD_TO_LEDGER, [(source, *counts) for source, counts in books.items()])
        return [
            Receipt(
                received=batch.received,
                stored=sum(new.values()),
                duplicate=len(batch.events) - sum(new.values()),
                rejected=len(batch.errors),
                errors=batch.errors,
            )
            for (_, batch), new in zip(batches, stored, strict=True)
        ]

    def _books(
        self, batches: Sequence[tuple[str, DecodedBatch]], rows: list[list[tuple[Any, ...]]], stored: list[Counter[int]]
    ) -> dict[int, tuple[int, int, int, int]]:
        """What to add to the ledger, by source: received, stored, duplicate, rejected."""
        arrived: Counter[int] = Counter(row[0] for batch in rows for row in batch)
        new: Counter[int] = sum(stored, Counter())
        rejected: Counter[int] = Counter()
        for source, batch in batches:
            if batch.errors:
                rejected[self._dimensions.source(source)] += len(batch.errors)
        return {
            source: (arrived[source] + rejected[source], new[source], arrived[source] - new[source], rejected[source])
            for source in sorted(arrived.keys() | rejected.keys())
        }

    def fold(self, limit: int) -> int:
        """Fold events behind the watermark; who comes second at the same events folds nothing.

        Roll-ups change only together with the watermark. So all the work is done before the write lock is taken, and
        thrown away when the watermark has moved meanwhile.
        """
        with self._connections.read() as connection:
            (watermark,) = connection.execute("SELECT seq FROM watermark").fetchone()
            rows = connection.execute(UNFOLDED, (watermark, limit)).fetchall()
            folded = fold_rows(connection, rows)
        if not rows:
            return 0
        with self._connections.write() as connection:
            moved = connection.execute("UPDATE watermark SET seq = ? WHERE seq = ?", (rows[-1][-1], watermark)).rowcount
            if not moved:
                return 0
            connection.executemany(WRITE_ROLLUP, folded)
        return len(rows)

    def usage(self, query: UsageQuery) -> list[UsageRow]:
        """Answer a query from roll-ups and, for what they do not hold yet or cut too coarsely, from events."""
        with self._connections.read() as connection:
            return read_usage(connection, query)

    def count_consumers(self, query: UsageQuery) -> dict[int, int]:
        """Count who called, by bucket."""
        with self._connections.read() as connection:
            return count_consumers(connection, query)

    def page(
        self, filters: Filters, *, before: tuple[int, int] | None, after: tuple[int, int] | None, limit: int
    ) -> list[StoredEvent]:
        """List events, newest first."""
        with self._connections.read() as connection:
            return read_page(connection, filters, before=before, after=after, limit=limit)

    def get(self, seq: int) -> StoredEvent | None:
        """Look one event up by its place."""
        with self._connections.read() as connection:
            row = connection.execute(f"{SELECT_EVENT} WHERE seq = ?", (seq,)).fetchone()
        return event_from_row(row) if row else None

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
                "SELECT COALESCE((SELECT MAX(seq) FROM event), 0) - (SELECT seq FROM watermark)"
            ).fetchone()
        return int(count)

    def close(self) -> None:
        """Close the file; idempotent."""
        self._connections.close()
