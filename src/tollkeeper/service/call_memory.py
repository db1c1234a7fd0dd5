"""What was read of the catalogue to take reports in, for as long as nothing of it changed."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from tollkeeper.service.report_calls import ReportedCalls
from tollkeeper.store.audit import AuditEntry

if TYPE_CHECKING:
    from collections.abc import Set as AbstractSet

    from tollkeeper.store.protocols import RecordStore

__all__ = ["CallMemory"]

SECONDS = 5.0
"""After which it is read again anyhow: nodes whose clocks differ could miss a change in the audit log."""
MAX_CONSUMERS = 1_000


class CallMemory:
    """Remembers what the catalogue says of consumers. Each change of it is in the audit log, whose end tells.

    Belongs to one thread.
    """

    def __init__(self, store: RecordStore) -> None:
        self._store = store
        self._calls: ReportedCalls | None = None
        self._until = 0.0
        self._last_change: str | None = None

    def calls_of(self, consumers: AbstractSet[str]) -> ReportedCalls:
        """What is known of some consumers, at least."""
        with self._store.reading() as records:
            newest = records.page(AuditEntry, after=None, limit=1, newest_first=True)
        last_change = newest[0].id if newest else None
        now = time.monotonic()
        known = self._calls
        if known is None or now >= self._until or last_change != self._last_change:
            self._until, self._last_change = now + SECONDS, last_change
            known = None
        if known is None or not consumers <= known.consumers:
            others = known.consumers if known and len(known.consumers) < MAX_CONSUMERS else frozenset()
            known = self._calls = ReportedCalls(self._store, consumers | others)
        return known
