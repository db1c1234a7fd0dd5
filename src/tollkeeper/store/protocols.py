"""All ports of the server on one page: what a store must do, whatever engine it stands on.

Every implementation passes the suites in ``tests/store``. All methods are safe to call from any thread. Each raises
StoreError when the engine cannot answer; what such a call should have written is then either whole or absent.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeVar

from msgspec import Struct

from tollkeeper.events.event import UsageEvent

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from contextlib import AbstractContextManager
    from datetime import datetime

    from tollkeeper.billing.counter import Counter, Hold
    from tollkeeper.billing.tally import Tally
    from tollkeeper.events.codec import DecodedBatch
    from tollkeeper.events.receipt import Receipt
    from tollkeeper.metering.usage import Filters, UsageQuery, UsageRow
    from tollkeeper.store.tags.tag import Tag, TagUse

__all__ = [
    "Catalog",
    "EventSpan",
    "EventStore",
    "Leadership",
    "LedgerRow",
    "QuotaBook",
    "Quotas",
    "RecordStore",
    "Records",
    "StoredEvent",
    "TagHistory",
    "Tags",
    "Token",
    "UsageStore",
]

Scope = Literal["ingest", "read", "admin"]
R = TypeVar("R", bound=Struct)


class Closable(Protocol):
    """Anything that holds files or connections."""

    def close(self) -> None:
        """Let go of them; idempotent."""
        ...


class StoredEvent(Struct, frozen=True):
    """An event with its place in the store: ``seq`` is unique and grows with each commit."""

    seq: int
    event: UsageEvent


class EventSpan(Struct, frozen=True, kw_only=True):
    """Events in ``[start, end)``, microseconds since 1970, whose ``seq`` is above ``after`` and at most ``until``.

    Not ``whole`` leaves out url, client, variables and errors, and of request and response all but how long the one
    took and how large the other was.
    """

    start: int
    end: int
    until: int
    after: int = 0
    whole: bool = True


class LedgerRow(Struct, frozen=True, kw_only=True):
    """The books of one source: what came in, what became of it, and the events ``present``, None without a recount."""

    source: str
    received: int
    stored: int
    duplicate: int
    rejected: int
    present: int | None


class UsageStore(Protocol):
    """What is derived from events: roll-ups, and answers that are exact whether or not an event is in them yet."""

    def fold(self, limit: int) -> int:
        """Fold up to ``limit`` events behind the watermark into the roll-ups; how many. Safe to call twice at once."""
        ...

    def backlog(self) -> int:
        """How many events wait to be folded."""
        ...

    def usage(self, query: UsageQuery) -> list[UsageRow]:
        """Answer a query exactly, whether or not its events are folded; sorted by bucket, empty groups left out."""
        ...

    def count_consumers(self, query: UsageQuery) -> dict[int, int]:
        """Count the known consumers that called in each bucket, by its start; grouping does not matter."""
        ...

    def tally(self, after: int, limit: int, *, step: int) -> tuple[list[Tally], int]:
        """Add up known consumers' events that the gate has not counted, alike and in one ``step`` (µs) of time.

        Of up to ``limit`` events behind a ``seq``; with the ``seq`` of the last of them, ``after`` without one.
        """
        ...

    def last_seq(self) -> int:
        """The place of the newest event, 0 without one."""
        ...


class EventStore(UsageStore, Closable, Protocol):
    """Raw events, the truth, and the books about them."""

    def append(self, batches: Sequence[tuple[str, DecodedBatch]]) -> list[Receipt]:
        """Store batches, each with the source that the ledger books its errors on, in one durable transaction.

        Idempotent by ``(source, id)``: what is there already, or twice in the batches, counts as duplicate.
        """
        ...

    def page(
        self, filters: Filters, *, before: tuple[int, int] | None, after: tuple[int, int] | None, limit: int
    ) -> list[StoredEvent]:
        """List events, newest first, older than ``before`` and newer than ``after``, both ``(time_us, seq)``."""
        ...

    def get(self, seq: int) -> StoredEvent | None:
        """Look one event up by its place."""
        ...

    def walk(
        self, span: EventSpan, groups: Sequence[Sequence[str]] | None
    ) -> AbstractContextManager[Iterator[tuple[int, StoredEvent]]]:
        """Read events group by group, each by time and then ``seq``, as of one moment, however many there are.

        A group is some consumers, by their keys, and no consumer is in two; the number is the group's place, and they
        come in its order. None walks through everybody: the number then tells consumers apart, 0 is nobody.
        """
        ...

    def ledger(self, *, recount: bool) -> list[LedgerRow]:
        """Read the books by source, in one snapshot; a ``recount`` looks at every event, which takes time."""
        ...


class Leadership(Protocol):
    """Which of the nodes on one store does what only one should do: folding, and whatever runs by the clock.

    The others take over within seconds when it dies, and at once when it resigns. Two may believe to lead for a moment,
    when the store was restarted: what a leader does must be right also then.
    """

    def lead(self) -> bool:
        """Lead, when nobody else does; whether this node leads now. Never waits for another; to be asked often."""
        ...

    def resign(self) -> None:
        """Let another node lead; idempotent."""
        ...


class Token(Struct, frozen=True, kw_only=True):
    """A credential without its secret."""

    id: int
    name: str
    scope: Scope
    created_at: int


class Records(Protocol):
    """The records of the catalogue (``store/catalog/kinds.py`` lists their kinds) within one transaction.

    ``where`` names fields and what they equal: a value, None, or one of a list.
    """

    def add(self, record: Struct) -> None:
        """Keep a new record; ConflictError when one with its identity is there, and the transaction is lost then.

        A text that not every database can keep raises UnprocessableError.
        """
        ...

    def replace(self, record: Struct) -> None:
        """Put a record in the place of the one with its id; raises as ``add``."""
        ...

    def remove(self, record: Struct) -> None:
        """Forget a record; idempotent."""
        ...

    def get(self, kind: type[R], record_id: str) -> R | None:
        """Look a record up by its id."""
        ...

    def find(self, kind: type[R], /, **where: Any) -> list[R]:
        """All records with these values, in the order of their ids, which is that of their making."""
        ...

    def page(
        self,
        kind: type[R],
        /,
        *,
        after: str | None,
        limit: int,
        newest_first: bool = False,
        start: datetime | None = None,
        end: datetime | None = None,
        **where: Any,
    ) -> list[R]:
        """Up to ``limit`` records behind the id ``after``; with ``start`` or ``end``, whose field ``at`` is in it."""
        ...

    def sums(
        self,
        kind: type[Struct],
        column: str,
        /,
        by: Sequence[str],
        *,
        start: datetime | None = None,
        end: datetime | None = None,
        **where: Any,
    ) -> dict[tuple[Any, ...], int]:
        """Add up a field of whole numbers by the values of others, of records whose field ``at`` is in the span.

        What is None counts as 0; groups without a record are left out.
        """
        ...


class RecordStore(Protocol):
    """What is sold to whom, as records. Read in one snapshot, written one transaction after the other."""

    def reading(self) -> AbstractContextManager[Records]:
        """Read what is committed, as of one moment."""
        ...

    def writing(self) -> AbstractContextManager[Records]:
        """Write: all of it is durable when the block ends, and none of it when it raises. Not to be nested."""
        ...

    def pepper(self) -> bytes:
        """32 random bytes, made with the store, for ever the same: the key of the hashes of API keys."""
        ...


class Catalog(RecordStore, Closable, Protocol):
    """Who may do what: tokens, login links and sessions, by the hash of their secret. Times are µs since 1970."""

    def add_token(self, name: str, scope: Scope, digest: bytes) -> Token:
        """Keep a token; a name that is taken raises UnprocessableError."""
        ...

    def find_token(self, digest: bytes) -> Token | None:
        """Look a token up by the hash of its secret; None when unknown or revoked."""
        ...

    def tokens(self) -> list[Token]:
        """List the tokens in force, oldest first."""
        ...

    def revoke_token(self, name: str) -> bool:
        """Take a token out of force, with its sessions and links; whether there was one."""
        ...

    def add_session(self, token_id: int, digest: bytes, expires_at: int, *, one_time: bool) -> None:
        """Keep a session, or a login link when ``one_time``; a token that was revoked raises AuthenticationError."""
        ...

    def find_session(self, digest: bytes, now: int) -> Token | None:
        """The token that a session acts for; None when unknown or expired."""
        ...

    def take_login_link(self, digest: bytes, now: int) -> Token | None:
        """Use a login link up: the first caller gets its token, every later one None."""
        ...

    def end_session(self, digest: bytes) -> None:
        """Forget a session; idempotent."""
        ...


class TagHistory(Protocol):
    """The uses of tags, one by one and by quarter of an hour, which is derived from them."""

    def history(self, tag_id: str, *, since: datetime, after: int, limit: int) -> list[TagUse]:
        """Up to ``limit`` uses of a tag from ``since`` on whose ``n`` is above ``after``, in the order of ``n``."""
        ...

    def buckets(self, tag_ids: Sequence[str], *, start: int, end: int, step: int) -> dict[str, dict[int, int]]:
        """Count the uses of tags in ``[start, end)`` by the start of each step; what has none is left out.

        Microseconds since 1970; all three are whole quarters of an hour, and ``start`` is a whole ``step``.
        """
        ...

    def forget(self, before: datetime, limit: int) -> int:
        """Take up to ``limit`` uses before a time out of the history; how many there were. The counts stay."""
        ...


class Tags(TagHistory, Closable, Protocol):
    """Tags and their counts."""

    def create(self, tag: Tag) -> None:
        """Keep a new tag; ConflictError when one with its id is there."""
        ...

    def use(self, uses: Sequence[tuple[str, datetime]]) -> list[int | None]:
        """Count uses, each a tag's id and when, in one durable transaction: the new count of each, None if unknown.

        Not idempotent. No two uses of a tag get the same count, whoever calls, and none is left out.
        """
        ...

    def get(self, tag_id: str) -> Tag | None:
        """Look a tag up by its id."""
        ...

    def page(self, *, after: str | None, limit: int) -> list[Tag]:
        """Up to ``limit`` tags behind the one with the id ``after``, in the order of their making."""
        ...

    def busiest(self, *, after: tuple[int, str] | None, limit: int) -> list[Tag]:
        """Up to ``limit`` tags behind a count and an id, the highest count first, and then the highest id."""
        ...


class QuotaBook(Protocol):
    """Counters and holds within one transaction."""

    def counters(self, ids: Sequence[str]) -> dict[str, Counter]:
        """The counters of these ids that are there."""
        ...

    def counters_of(self, subscriptions: Sequence[str], *, since: int) -> list[Counter]:
        """The counters of subscriptions whose period ends after a time, in the order of subscription and start."""
        ...

    def ended(self, before: int, limit: int) -> list[Counter]:
        """Some counters, not of rates, that are not closed and whose period ended by a time, the earliest first."""
        ...

    def put(self, counters: Sequence[Counter]) -> None:
        """Keep counters, in the place of those with their ids."""
        ...

    def holds(self, ids: Sequence[str]) -> dict[str, Hold]:
        """The holds of these ids that are there."""
        ...

    def open_holds(self, consumers: Sequence[str]) -> list[Hold]:
        """The open reservations (not leases) of consumers, the oldest first."""
        ...

    def due(self, before: int, limit: int, *, leases_only: bool = False) -> list[Hold]:
        """Some open holds that expired at a time or before, the earliest first."""
        ...

    def hold(self, holds: Sequence[Hold]) -> None:
        """Keep holds, in the place of those with their ids."""
        ...

    def forget(self, before: int, limit: int) -> int:
        """Drop some holds that are not open, and closed counters of an hour at most, from before a time; how many."""
        ...

    def position(self) -> int:
        """The ``seq`` of the last event that was counted."""
        ...

    def move(self, seq: int) -> None:
        """Say that all events up to this ``seq`` have been counted."""
        ...


class Quotas(Closable, Protocol):
    """What is gone of the limits of subscriptions."""

    def writing(self) -> AbstractContextManager[QuotaBook]:
        """Change it, one transaction after the other on all nodes: whole or absent, durable when the block ends."""
        ...

    def reading(self) -> AbstractContextManager[QuotaBook]:
        """Read what is committed, as of one moment."""
        ...
