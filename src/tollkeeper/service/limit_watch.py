"""Whether anybody has a limit at all."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from tollkeeper.billing.plan import Plan
from tollkeeper.billing.subscription import Subscription
from tollkeeper.billing.terms import RouteLimit
from tollkeeper.store.audit import AuditEntry

if TYPE_CHECKING:
    from tollkeeper.store.protocols import Records, RecordStore

__all__ = ["LimitWatch"]

LOOK_SECONDS = 5.0
"""How long to wait before all subscriptions are looked at again."""
PAGE = 1_000


class LimitWatch:
    """Looks through the catalogue for limits, again when it was changed; belongs to one thread."""

    def __init__(self, store: RecordStore) -> None:
        self._store = store
        self._free_at: str | None = None
        self._look_at = 0.0

    def is_free(self) -> bool:
        """Whether nobody has a limit now. False as well when it would take too long to be sure."""
        with self._store.reading() as records:
            newest = records.page(AuditEntry, after=None, limit=1, newest_first=True)
            revision = newest[0].id if newest else ""
            if revision == self._free_at:
                return True
            if time.monotonic() < self._look_at:
                return False
            self._look_at = time.monotonic() + LOOK_SECONDS
            self._free_at = None if _has_limits(records) else revision
        return self._free_at is not None


def _has_limits(records: Records) -> bool:
    if any(plan.body.get("limits") for plan in records.find(Plan)):
        return True
    if records.page(RouteLimit, after=None, limit=1):
        return True
    after: str | None = None
    while page := records.page(Subscription, after=after, limit=PAGE):
        if any(one.overrides.get("limits") for one in page):
            return True
        after = page[-1].id
    return False
