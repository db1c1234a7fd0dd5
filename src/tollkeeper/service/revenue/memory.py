"""What was answered of revenue, for as long as no invoice is drafted or issued, and nobody changes anything."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, TypeVar

from tollkeeper.store.audit import AuditEntry
from tollkeeper.store.invoices import InvoiceLine, InvoiceSeries

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

    from tollkeeper.store.protocols import Records, RecordStore

__all__ = ["RevenueMemory"]

P = ParamSpec("P")
T = TypeVar("T")
SECONDS = 300.0
"""After which it is worked out again anyhow: nodes whose clocks differ could miss a change."""
MAX_ANSWERS = 256


class RevenueMemory:
    """Remembers answers, as adding up a year of a large shop takes longer than a page may. Safe with many threads.

    Who drafts writes lines, what is issued gets a number, and all else is in the audit log: the ends of these tell.
    """

    def __init__(self, store: RecordStore) -> None:
        self._store = store
        self._lock = threading.Lock()
        self._answers: OrderedDict[Hashable, tuple[Hashable, float, Any]] = OrderedDict()

    def answer(self, question: Callable[Concatenate[Records, P], T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """Ask a question of the records, unless its answer is known; raises what it raises."""
        key = (question, args, tuple(sorted(kwargs.items())))
        with self._store.reading() as records:
            edition, now = _edition(records), time.monotonic()
            with self._lock:
                known = self._answers.get(key)
            if known is not None and known[0] == edition and now < known[1]:
                found: T = known[2]
                return found
            found = question(records, *args, **kwargs)
        with self._lock:
            self._answers[key] = (edition, now + SECONDS, found)
            self._answers.move_to_end(key)
            while len(self._answers) > MAX_ANSWERS:
                self._answers.popitem(last=False)
        return found


def _edition(records: Records) -> Hashable:
    audited = records.page(AuditEntry, after=None, limit=1, newest_first=True)
    lines = records.page(InvoiceLine, after=None, limit=1, newest_first=True)
    numbers = [(series.id, series.next) for series in records.find(InvoiceSeries)]
    return (*(one.id for one in audited), *(one.id for one in lines), *numbers)
