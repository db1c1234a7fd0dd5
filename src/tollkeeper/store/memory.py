"""The ports in memory, as plain as can be: for tests, trials, and as the yardstick of every other engine."""

from __future__ import annotations

import contextlib
import threading
from collections import Counter
from typing import TYPE_CHECKING

import numpy as np
from msgspec.structs import replace

from tollkeeper.billing.tally import tally_events
from tollkeeper.errors import AuthenticationError, UnprocessableError
from tollkeeper.events.receipt import Receipt
from tollkeeper.events.routes import template_path
from tollkeeper.metering.sketch import bucket_of, pack_sketch
from tollkeeper.metering.usage import Totals, UsageRow
from tollkeeper.store.catalog.memory import MemoryRecordStore
from tollkeeper.store.memory_walk import walk_memory
from tollkeeper.store.protocols import LedgerRow, StoredEvent, Token

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tollkeeper.billing.tally import Tally
    from tollkeeper.events.codec import DecodedBatch
    from tollkeeper.events.event import UsageEvent
    from tollkeeper.metering.usage import Filters, UsageQuery
    from tollkeeper.store.protocols import EventSpan, Scope

__all__ = ["MemoryCatalog", "MemoryEventStore"]

FIRST_ERROR_STATUS = 400


class MemoryEventStore:
    """An ``EventStore`` that answers every question by looking at every event; it has no roll-ups to fold."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._events: dict[tuple[str, str], StoredEvent] = {}
        self._books: dict[str, Counter[str]] = {}

    def append(self, batches: Sequence[tuple[str, DecodedBatch]]) -> list[Receipt]:
        """Store batches; see ``EventStore``."""
        with self._lock:
            return [self._append(source, batch) for source, batch in batches]

    def _append(self, source: str, batch: DecodedBatch) -> Receipt:
        stored = 0
        for event in batch.events:
            book = self._books.setdefault(event.source, Counter())
            is_new = (event.source, event.id) not in self._events
            if is_new:
                routed = event if event.route is not None else replace(event, route=template_path(event.path))
                self._events[event.source, event.id] = StoredEvent(len(self._events) + 1, routed)
            stored += is_new
            book.update({"received": 1, "stored": int(is_new), "duplicate": int(not is_new)})
        if batch.errors:
            bad = len(batch.errors)
            self._books.setdefault(source, Counter()).update({"received": bad, "rejected": bad})
        return Receipt(
            received=batch.received,
            stored=stored,
            duplicate=len(batch.events) - stored,
            rejected=len(batch.errors),
            errors=batch.errors,
        )

    def fold(self, limit: int) -> int:  # noqa: ARG002  # the port's signature
        """Do nothing: there is nothing derived."""
        return 0

    def usage(self, query: UsageQuery) -> list[UsageRow]:
        """Add up event by event."""
        groups: dict[tuple[int, tuple[object, ...]], Totals] = {}
        labels: dict[str, str | None] = {}
        for who in (event.consumer for event in self._all() if event.consumer):
            labels[who.key] = who.label or labels.get(who.key)
        for event in self._all():
            at = event.time_us
            if query.start <= at < query.end and _matches(event, query.filters):
                bucket = query.start if query.step is None else at // query.step * query.step
                values: dict[str, object] = {
                    "route": (event.method, event.route, event.api, event.api_version),
                    "consumer": (event.consumer.key, labels[event.consumer.key]) if event.consumer else None,
                    "status": event.status_code,
                }
                group = (bucket, tuple(values[dimension] for dimension in query.group_by))
                groups[group] = groups.get(group, Totals()) + _totals(event, sketches=query.sketches)
        rows = [UsageRow(start=start, key=key, totals=totals) for (start, key), totals in groups.items()]
        if query.largest is not None:
            least = query.least([row.totals.requests for row in rows])
            rows = [row for row in rows if row.totals.requests >= least]
        return sorted(rows, key=lambda row: row.start)

    def count_consumers(self, query: UsageQuery) -> dict[int, int]:
        """Count rows of usage by consumer."""
        by_consumer = replace(query, group_by=("consumer",), sketches=False, largest=None)
        return dict(Counter(row.start for row in self.usage(by_consumer) if row.key[0] is not None))

    def tally(self, after: int, limit: int, *, step: int) -> tuple[list[Tally], int]:
        """Add up event by event."""
        taken = [stored for stored in self._events.values() if after < stored.seq <= after + limit]
        return tally_events((stored.event for stored in taken), step), max((one.seq for one in taken), default=after)

    def last_seq(self) -> int:
        """Count the events."""
        return len(self._events)

    def page(
        self, filters: Filters, *, before: tuple[int, int] | None, after: tuple[int, int] | None, limit: int
    ) -> list[StoredEvent]:
        """Sort everything and cut."""
        places = [((stored.event.time_us, stored.seq), stored) for stored in self._events.values()]
        wanted = [
            (place, stored)
            for place, stored in places
            if (before is None or place < before) and (after is None or place > after)
        ]
        found = [stored for _, stored in sorted(wanted, reverse=True, key=lambda item: item[0])]
        return [stored for stored in found if _matches(stored.event, filters)][:limit]

    def get(self, seq: int) -> StoredEvent | None:
        """Look one event up by its place."""
        return next((stored for stored in self._events.values() if stored.seq == seq), None)

    @contextlib.contextmanager
    def walk(
        self, span: EventSpan, groups: Sequence[Sequence[str]] | None
    ) -> Iterator[Iterator[tuple[int, StoredEvent]]]:
        """Sort everything that matches."""
        yield walk_memory(list(self._events.values()), span, groups)

    def ledger(self, *, recount: bool) -> list[LedgerRow]:
        """Read the books."""
        present = Counter(source for source, _ in self._events)
        columns = ("received", "stored", "duplicate", "rejected")
        return [
            LedgerRow(
                source=source,
                present=present[source] if recount else None,
                **{column: book[column] for column in columns},
            )
            for source, book in sorted(self._books.items())
        ]

    def backlog(self) -> int:
        """Nothing ever waits."""
        return 0

    def close(self) -> None:
        """Do nothing."""

    def _all(self) -> list[UsageEvent]:
        return [stored.event for stored in self._events.values()]


def _matches(event: UsageEvent, filters: Filters) -> bool:
    first, last = filters.status_range or (0, 999)
    pairs = (
        (filters.route, event.route),
        (filters.method, event.method),
        (filters.consumer, event.consumer.key if event.consumer else None),
        (filters.api, event.api),
        (filters.api_version, event.api_version),
    )
    return first <= event.status_code <= last and all(wanted is None or wanted == value for wanted, value in pairs)


def _totals(event: UsageEvent, *, sketches: bool) -> Totals:
    seconds = event.request.elapsed_time
    elapsed = 0 if seconds is None else round(seconds * 1e6)
    timed = seconds is not None
    return Totals(
        requests=1,
        errors=int(event.status_code >= FIRST_ERROR_STATUS),
        bytes=event.response.content_length or 0,
        units=event.units_micro,
        timed=int(timed),
        elapsed=elapsed,
        sketch=pack_sketch(bucket_of(np.array([elapsed], dtype=np.int64))) if timed and sketches else b"",
    )


class MemoryCatalog(MemoryRecordStore):
    """A ``Catalog`` that ends with the process."""

    def __init__(self) -> None:
        super().__init__()
        self._tokens: dict[bytes, Token] = {}
        self._sessions: dict[bytes, tuple[int, int, bool]] = {}
        self._made = 0

    def add_token(self, name: str, scope: Scope, digest: bytes) -> Token:
        """Keep a token; see ``Catalog``."""
        if any(token.name == name for token in self._tokens.values()):
            raise UnprocessableError(
                f"There is a token named {name!r} already: choose another name, or revoke it first."
            )
        self._made += 1
        token = self._tokens[digest] = Token(id=self._made, name=name, scope=scope, created_at=self._made)
        return token

    def find_token(self, digest: bytes) -> Token | None:
        """Look a token up by its hash."""
        return self._tokens.get(digest)

    def tokens(self) -> list[Token]:
        """List the tokens, oldest first."""
        return list(self._tokens.values())

    def revoke_token(self, name: str) -> bool:
        """Forget a token and all that acts for it."""
        gone = {digest: token for digest, token in self._tokens.items() if token.name == name}
        numbers = {token.id for token in gone.values()}
        self._tokens = {digest: token for digest, token in self._tokens.items() if digest not in gone}
        self._sessions = {digest: entry for digest, entry in self._sessions.items() if entry[0] not in numbers}
        return bool(gone)

    def add_session(self, token_id: int, digest: bytes, expires_at: int, *, one_time: bool) -> None:
        """Keep a session or login link."""
        if self._token(token_id) is None:
            raise AuthenticationError("The token was revoked: log in with another one.")
        self._sessions[digest] = (token_id, expires_at, one_time)

    def find_session(self, digest: bytes, now: int) -> Token | None:
        """The token that a session acts for."""
        token_id, expires_at, one_time = self._sessions.get(digest, (0, 0, False))
        return None if one_time or expires_at <= now else self._token(token_id)

    def take_login_link(self, digest: bytes, now: int) -> Token | None:
        """Use a login link up."""
        token_id, expires_at, one_time = self._sessions.get(digest, (0, 0, False))
        if not one_time or expires_at <= now:
            return None
        del self._sessions[digest]
        return self._token(token_id)

    def end_session(self, digest: bytes) -> None:
        """Forget a session."""
        self._sessions.pop(digest, None)

    def close(self) -> None:
        """Do nothing."""

    def _token(self, number: int) -> Token | None:
        return next((token for token in self._tokens.values() if token.id == number), None)
