"""All ports of the server on one page: what a store must do, whatever engine it stands on.

Every implementation passes the suites in ``tests/store``. All methods are safe to call from any thread. Each raises
StoreError when the engine cannot answer; what such a call should have written is then either whole or absent.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, Protocol

from msgspec import Struct

from tollkeeper.events.event import UsageEvent

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tollkeeper.events.codec import DecodedBatch
    from tollkeeper.events.receipt import Receipt
    from tollkeeper.metering.usage import Filters, UsageQuery, UsageRow

__all__ = ["Catalog", "EventStore", "LedgerRow", "StoredEvent", "Token", "UsageStore"]

Scope = Literal["ingest", "read", "admin"]


class StoredEvent(Struct, frozen=True):
    """An event with its place in the store: ``seq`` is unique and grows with each commit."""

    seq: int
    event: UsageEvent


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


class EventStore(UsageStore, Protocol):
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

    def ledger(self, *, recount: bool) -> list[LedgerRow]:
        """Read the books by source, in one snapshot; a ``recount`` looks at every event, which takes time."""
        ...

    def close(self) -> None:
        """Let go of files and connections; idempotent."""
        ...


class Token(Struct, frozen=True, kw_only=True):
    """A credential without its secret."""

    id: int
    name: str
    scope: Scope
    created_at: int


class Catalog(Protocol):
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

    def close(self) -> None:
        """Let go of connections; idempotent."""
        ...
