"""An event as a row of the table ``event``, and back."""

from __future__ import annotations

import uuid
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import UNSET, Raw, Struct, UnsetType

from tollkeeper.events.event import Client, Consumer, Error, Request, Response, UsageEvent
from tollkeeper.events.timestamps import EPOCH, from_microseconds
from tollkeeper.store.protocols import StoredEvent
from tollkeeper.store.sqlite.dimensions import route_key

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tollkeeper.store.sqlite.dimensions import Dimensions

__all__ = ["SELECT_EVENT", "event_from_row", "row_from_event"]

MICRO = 1_000_000
NOT_MEASURED = -1
UUID_LENGTH, UUID_BYTES, DASHES = 36, 16, (8, 13, 18, 23)

SELECT_EVENT = """
    SELECT seq, source.name, event.id, time, route.template, route.method, route.api, route.api_version,
        consumer.key, label, email, "group", status, elapsed, bytes, units, path, detail
    FROM event JOIN source USING (source_id) JOIN route USING (route_id) LEFT JOIN consumer USING (consumer_id)
"""
"""Reads rows for ``event_from_row``; to be followed by WHERE."""


# What a field left out decodes to must be the very default of UsageEvent, which the wire then leaves out again.
_BARE = UsageEvent(time=EPOCH, method="GET", path="/", status_code=200)


class _Detail(Struct, frozen=True, omit_defaults=True, kw_only=True):
    """What no query looks at, as JSON in one column."""

    url: str | None = None
    exception: str | None = None
    error: Error | None = None
    client: Client = _BARE.client
    request: Request = _BARE.request
    response: Response = _BARE.response
    variables: Raw | UnsetType = UNSET


_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(_Detail).decode


def row_from_event(event: UsageEvent, dimensions: Dimensions) -> tuple[Any, ...]:
    """The values of a row, without ``seq``, in the order of the table; the dimensions must have learned the event."""
    request, response = event.request, event.response
    size, elapsed = response.content_length, request.elapsed_time
    detail = _encode(
        _Detail(
            url=event.url,
            exception=event.exception,
            error=event.error,
            client=event.client,
            request=request if elapsed is None else _without_time(request),
            response=response if size is None else _without_size(response),
            variables=event.variables,
        )
    )
    return (
        dimensions.source(event.source),
        _pack_id(event.id),
        event.time_us,
        dimensions.consumer(event.consumer),
        dimensions.route(route_key(event)),
        event.status_code,
        NOT_MEASURED if elapsed is None else round(elapsed * MICRO),
        NOT_MEASURED if size is None else size,
        event.units_micro,
        None if event.path == event.route else event.path,
        None if detail == b"{}" else detail,
    )


def event_from_row(row: Sequence[Any]) -> StoredEvent:
    """Read a row of ``SELECT_EVENT``."""
    (seq, source, id_, time, template, method, api, api_version, key, label, email, group, *rest) = row
    status, elapsed, size, units, path, packed = rest
    detail = _decode(packed) if packed else _Detail()
    event = UsageEvent(
        id=id_ if isinstance(id_, str) else str(uuid.UUID(bytes=id_)),
        source=source,
        time=from_microseconds(time),
        method=method,
        path=template if path is None else path,
        status_code=status,
        route=template,
        url=detail.url,
        exception=detail.exception,
        error=detail.error,
        consumer=None if key is None else Consumer(key, label, email, group),
        api=api or None,
        api_version=api_version or None,
        units=_BARE.units if units == _BARE.units_micro else Decimal(units) / MICRO,
        variables=detail.variables,
        client=detail.client,
        request=detail.request
        if elapsed == NOT_MEASURED
        else msgspec.structs.replace(detail.request, elapsed_time=elapsed / MICRO),
        response=detail.response
        if size == NOT_MEASURED
        else msgspec.structs.replace(detail.response, content_length=size),
    )
    return StoredEvent(seq, event)


def _without_time(request: Request) -> Request:
    return Request(
        content_length=request.content_length,
        mimetype=request.mimetype,
        headers=request.headers,
        args=request.args,
        body=request.body,
    )


def _without_size(response: Response) -> Response:
    return Response(mimetype=response.mimetype, headers=response.headers, body=response.body)


def _pack_id(id_: str) -> str | bytes:
    """Sixteen bytes for a UUID as it is usually written, for an index half as large; any other text as it is."""
    if len(id_) == UUID_LENGTH:
        plain = id_.replace("-", "")
        try:
            packed = bytes.fromhex(plain)
        except ValueError:
            return id_
        if len(packed) == UUID_BYTES and packed.hex() == plain and all(id_[place] == "-" for place in DASHES):
            return packed
    return id_
