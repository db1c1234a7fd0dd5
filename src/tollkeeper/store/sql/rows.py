"""An event as a row of the table ``event``, and back."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import UNSET, Raw, Struct, UnsetType
from msgspec.structs import replace

from tollkeeper.events.event import Client, Consumer, Error, Request, Response, UsageEvent
from tollkeeper.events.timestamps import EPOCH, from_microseconds
from tollkeeper.store.protocols import StoredEvent
from tollkeeper.store.sql.dimensions import route_key

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tollkeeper.store.sql.dimensions import Dimensions

__all__ = ["SELECT_EVENT", "event_from_row", "id_as_bytes", "make_event", "row_from_event"]

Shared = tuple[str, tuple[str, str, str | None, str | None], Consumer | None]
"""What many events have in common: the source, the route (template, method, api, version), and who called."""

MICRO = 1_000_000
NOT_MEASURED = -1
UUID_LENGTH, UUID_BYTES, DASHES = 36, 16, (8, 13, 18, 23)
END_OF_TEXT = b"\xff"
"""A byte that UTF-8 never has."""

SELECT_EVENT = """
    SELECT seq, source.name, event.id, time, route.template, route.method, route.api, route.api_version,
        consumer.key, label, email, "group", status, elapsed, bytes, units, path, detail, gated
    FROM {event} JOIN source USING (source_id) JOIN route USING (route_id) LEFT JOIN consumer USING (consumer_id)
"""
"""Reads rows for ``event_from_row``; ``event`` is the table, or a part of it that has its name."""


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


_NOTHING = _Detail()
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
        int(event.gated),
    )


def _decode_apart(packed: bytes) -> _Detail:
    """Read, with a stack of its own, what is nested too deep for what the caller's leaves: it came with such a one."""
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(_decode, packed).result()


def event_from_row(row: Sequence[Any]) -> StoredEvent:
    """Read a row of ``SELECT_EVENT``."""
    (seq, source, id_, time, template, method, api, api_version, key, label, email, group, *rest) = row
    consumer = None if key is None else Consumer(key, label, email, group)
    shared = source, (template, method, api or None, api_version or None), consumer
    return StoredEvent(seq, make_event(id_, time, shared, rest))


def make_event(id_: str | bytes, time: int, shared: Shared, rest: Sequence[Any]) -> UsageEvent:
    """Make the event of a row whose numbers are looked up already; ``rest`` are its columns from ``status`` on."""
    status, elapsed, size, units, path, packed, gated = rest
    try:
        detail = _decode(packed) if packed else _NOTHING
    except RecursionError:
        detail = _decode_apart(packed)
    source, (template, method, api, version), consumer = shared
    request, response = detail.request, detail.response
    if elapsed != NOT_MEASURED:
        seconds = elapsed / MICRO
        request = replace(request, elapsed_time=seconds) if packed else Request(elapsed_time=seconds)
    if size != NOT_MEASURED:
        response = replace(response, content_length=size) if packed else Response(content_length=size)
    return UsageEvent(
        id=id_ if isinstance(id_, str) else _unpack_id(id_),
        source=source,
        time=from_microseconds(time),
        method=method,
        path=template if path is None else path,
        status_code=status,
        route=template,
        url=detail.url,
        exception=detail.exception,
        error=detail.error,
        consumer=consumer,
        api=api,
        api_version=version,
        units=_BARE.units if units == _BARE.units_micro else Decimal(units) / MICRO,
        gated=bool(gated),
        variables=detail.variables,
        client=detail.client,
        request=request,
        response=response,
    )


def _without_time(request: Request) -> Request:
    return Request(
        content_length=request.content_length,
        mimetype=request.mimetype,
        headers=request.headers,
        args=request.args,
        body=request.body,
        body_truncated=request.body_truncated,
    )


def _without_size(response: Response) -> Response:
    return Response(
        first_byte_time=response.first_byte_time,
        mimetype=response.mimetype,
        headers=response.headers,
        body=response.body,
        body_truncated=response.body_truncated,
    )


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


def id_as_bytes(packed: str | bytes) -> bytes:
    """The id of a row for a column that holds bytes alone: a text gets an end, and is never as long as a UUID."""
    if isinstance(packed, bytes):
        return packed
    text = packed.encode() + END_OF_TEXT
    return text + END_OF_TEXT if len(text) == UUID_BYTES else text


def _unpack_id(packed: bytes) -> str:
    if len(packed) != UUID_BYTES:
        return packed.rstrip(END_OF_TEXT).decode()
    text = packed.hex()
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"
