"""Quotas page by page: of all customers or some, as they were made, or the fullest first."""

from __future__ import annotations

import heapq
import math
from datetime import UTC, datetime
from itertools import islice
from typing import TYPE_CHECKING, Any, Literal

from tollkeeper.billing.subscription import Subscription
from tollkeeper.errors import InvalidRequestError
from tollkeeper.service.listing import MAX_LIMIT, Listed
from tollkeeper.service.quota_status import quotas_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tollkeeper.service.quota_status import QuotaStatus
    from tollkeeper.store.protocols import QuotaBook, Quotas, Records, RecordStore

__all__ = ["AskedState", "QuotaOrder", "list_quotas"]

CHUNK = 1_000
AskedState = Literal["near", "exceeded", "all"]
QuotaOrder = Literal["made", "fullest"]
Place = tuple[float, str, str]


def list_quotas(
    store: RecordStore,
    quotas: Quotas,
    *,
    customers: Sequence[str] | None = None,
    subscription: str | None = None,
    state: AskedState = "all",
    order: QuotaOrder = "made",
    after: str | None = None,
    limit: int = 50,
) -> Listed[QuotaStatus]:
    """List up to ``limit`` quotas behind a cursor, those of all customers or of these (ids), as they stand now.

    In the order of subscriptions, or the fullest first, for which all subscriptions are looked at. Raises
    InvalidRequestError for a limit outside 1 to 1,000, or a cursor that no page gave.
    """
    if not 1 <= limit <= MAX_LIMIT:
        raise InvalidRequestError(f"limit is {limit}: give 1 to {MAX_LIMIT}.")
    place = _read_cursor(after) if after else None
    where: dict[str, Any] = {} if customers is None else {"customer": list(customers)}
    where |= {} if subscription is None else {"id": [subscription]}
    with store.reading() as records, quotas.reading() as book:
        begin = place[1] if place and order == "made" else None
        found = (
            status
            for status in _every(records, book, begin, where)
            if state in {"all", status.state} and (place is None or place < _place(status, order))
        )
        if order == "made":
            listed = list(islice(found, limit + 1))
        else:
            listed = heapq.nsmallest(limit + 1, found, key=lambda status: _place(status, order))
    items = listed[:limit]
    return Listed(items, _cursor(_place(items[-1], order)) if len(listed) > limit else None)


def _every(records: Records, book: QuotaBook, begin: str | None, where: dict[str, Any]) -> Iterator[QuotaStatus]:
    """The quotas of the subscription with the id ``begin`` and of those behind it; of all when it is None."""
    now = datetime.now(UTC)
    first = records.get(Subscription, begin) if begin else None
    if first is not None and all(getattr(first, name) in values for name, values in where.items()):
        yield from quotas_of(records, book, [first], now)[0]
    after = begin
    while chunk := records.page(Subscription, after=after, limit=CHUNK, **where):
        yield from quotas_of(records, book, chunk, now)[0]
        after = chunk[-1].id


def _place(status: QuotaStatus, order: QuotaOrder) -> Place:
    return (0.0 if order == "made" else -status.share, status.subscription, status.name)


def _cursor(place: Place) -> str:
    share, subscription, name = place
    return f"{abs(share)!r}|{subscription}|{name}"


def _read_cursor(text: str) -> Place:
    share, _, rest = text.partition("|")
    subscription, bar, name = rest.partition("|")
    try:
        fullness = float(share)
    except ValueError:
        fullness = math.nan
    if not bar or not math.isfinite(fullness):
        raise InvalidRequestError(f"after is {text[:100]!r}: take it from the page before, or leave it out.")
    return -fullness, subscription, name
