"""Who changed what, from what, to what: every write of the catalogue goes through here."""

from __future__ import annotations

import contextlib
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from tollkeeper.events.ids import record_id
from tollkeeper.service.alerts.views import place_of
from tollkeeper.store.audit import AuditEntry
from tollkeeper.store.catalog.kinds import KINDS, id_of
from tollkeeper.store.operations import AlertChannel

if TYPE_CHECKING:
    from collections.abc import Iterator

    from msgspec import Struct

    from tollkeeper.store.protocols import Records, RecordStore

__all__ = ["Edit", "editing"]

SECRETS = ("digest", "salt", "secrets")
LARGE = ("document",)
"""What is kept elsewhere for ever, and would swell the log."""


class Edit:
    """One transaction of an actor. What is written by it is in the audit log, by the same commit, or not at all.

    ``now`` is the one time of all that happens in it.
    """

    def __init__(self, records: Records, actor: str) -> None:
        self.records = records
        self.actor = actor
        self.now = datetime.now(UTC)
        self._last: str | None = None

    def add(self, record: Struct) -> None:
        """Keep a new record; a ConflictError ends the transaction."""
        self.records.add(record)
        self._note("create", record, None, record)

    def replace(self, old: Struct, new: Struct) -> None:
        """Put a record in the place of an old one with the same id; one that is equal changes nothing."""
        if old != new:
            self.records.replace(new)
            self._note("update", new, old, new)

    def remove(self, record: Struct) -> None:
        """Take a record away."""
        self.records.remove(record)
        self._note("delete", record, record, None)

    def _note(
        self, action: Literal["create", "update", "delete"], record: Struct, before: Struct | None, after: Struct | None
    ) -> None:
        entry = AuditEntry(
            id=self._next_id(),
            at=self.now,
            actor=self.actor,
            action=action,
            kind=KINDS[type(record)].table,
            record=id_of(record),
            before=_document(before),
            after=_document(after),
        )
        self.records.add(entry)

    def _next_id(self) -> str:
        # Behind all others, also those of nodes whose clocks are ahead: who knows the newest knows whether any is new.
        if self._last is None:
            newest = self.records.page(AuditEntry, after=None, limit=1, newest_first=True)
            self._last = newest[0].id if newest else ""
        self._last = record_id("aud", behind=self._last)
        return self._last


@contextlib.contextmanager
def editing(store: RecordStore, actor: str) -> Iterator[Edit]:
    """Open a transaction of an actor: durable when the block ends, undone when it raises. Not to be nested."""
    with store.writing() as records:
        yield Edit(records, actor)


def _document(record: Struct | None) -> dict[str, Any] | None:
    if record is None:
        return None
    document: dict[str, Any] = msgspec.to_builtins(record)
    if isinstance(record, AlertChannel):
        document["address"] = place_of(record)
    return {name: value for name, value in document.items() if name not in SECRETS + LARGE}
