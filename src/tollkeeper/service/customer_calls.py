"""The single calls of a customer, as the tables of api-usage-ms have them: whose, of what, at which price."""

from __future__ import annotations

import heapq
from datetime import datetime
from decimal import Decimal
from itertools import islice
from typing import TYPE_CHECKING

from msgspec import Struct

from tollkeeper.billing.failure import ApiError
from tollkeeper.metering.usage import Filters
from tollkeeper.service.report_calls import call_of
from tollkeeper.service.request_log import list_events
from tollkeeper.service.resolution import load_resolver

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tollkeeper.billing.resolve import Resolution
    from tollkeeper.events.event import UsageEvent
    from tollkeeper.service.customer_usage import Caller
    from tollkeeper.service.periods import Period
    from tollkeeper.store.protocols import EventStore, RecordStore

__all__ = ["CallLine", "list_calls"]

ERROR_CLASSES = tuple(f"{hundreds}xx" for hundreds in range(4, 10))


class CallLine(Struct, frozen=True, kw_only=True, rename="camel"):
    """One call. ``api_key`` is the fingerprint of the key, and the price is that in force when it was called.

    The error fields are None for what is no error, and what is not known is None everywhere.
    """

    time: datetime
    id: str
    api_customer_id: str | None
    api_route_id: str | None
    api_key: str | None
    api_name: str | None
    api_version: str | None
    end_point_name: str | None
    client_address: str | None
    http_status_code: int
    price_per_call: Decimal | None
    currency: str | None
    units: Decimal
    time_taken: float | None
    error_id: str | None
    error_code: str | None
    error_description: str | None
    resolved: bool | None


def list_calls(
    store: RecordStore, events: EventStore, caller: Caller, period: Period, *, errors: bool, limit: int
) -> list[CallLine]:
    """List the newest calls of a customer in a period, newest first; only errors when ``errors``."""
    resolver = load_resolver(store, caller.consumers)
    statuses = ERROR_CLASSES if errors else (None,)
    streams = [
        _newest(events, Filters(consumer=consumer, route=caller.endpoint, status=status), period, limit)
        for consumer in caller.consumers
        for status in statuses
    ]
    merged = heapq.merge(*streams, key=lambda event: event.time_us, reverse=True)
    calls = ((event, resolver.resolve(call_of(event), event.time_us)) for event in merged)
    wanted = ((event, known) for event, known in calls if caller.api_version in {None, _version(event, known)})
    newest = list(islice(wanted, limit))
    with store.reading() as records:
        ids = [event.id for event, _ in newest]
        kept = {error.event_id: error for error in records.find(ApiError, event_id=ids, is_internal=False)}
    return [_line(event, known, kept) for event, known in newest]


def _newest(events: EventStore, filters: Filters, period: Period, limit: int) -> Iterator[UsageEvent]:
    """All events that match, newest first, read as far as they are asked for."""
    after: str | None = None
    while True:
        page = list_events(events, filters=filters, period=period, after=after, limit=limit)
        yield from (stored.event for stored in page.events)
        after = page.next
        if after is None:
            return


def _version(event: UsageEvent, known: Resolution) -> str | None:
    return known.version.name if known.version else event.api_version


def _line(event: UsageEvent, known: Resolution, kept: Mapping[str | None, ApiError]) -> CallLine:
    error = kept.get(event.id)
    elapsed = event.request.elapsed_time
    return CallLine(
        time=event.time,
        id=event.id,
        api_customer_id=known.customer.id if known.customer else None,
        api_route_id=known.route.id if known.route else None,
        api_key=event.consumer.key if event.consumer else None,
        api_name=known.api.name if known.api else event.api,
        api_version=_version(event, known),
        end_point_name=event.route,
        client_address=event.client.remote_address,
        http_status_code=event.status_code,
        price_per_call=known.price.price if known.price else None,
        currency=known.price.currency if known.price else None,
        units=event.units,
        time_taken=None if elapsed is None else round(elapsed * 1000, 3),
        error_id=error.id if error else None,
        error_code=event.error.type if event.error else None,
        error_description=event.error.message if event.error else event.exception,
        resolved=error.resolved_at is not None if error else None,
    )
