"""Events to bytes and back: JSON, arrays, CloudEvents 1.0, gzip, and the limits on each."""

from __future__ import annotations

import json
import zlib
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import Raw, Struct

from tollkeeper.errors import InvalidRequestError, TooLargeError
from tollkeeper.events.event import UsageEvent
from tollkeeper.events.ids import new_id
from tollkeeper.events.receipt import EventError
from tollkeeper.events.timestamps import END, EPOCH

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["DecodedBatch", "Limits", "check_units", "decode_batch", "encode_batch"]

MAX_UNITS = Decimal(10**6)
MAX_UNIT_DIGITS = 28
UNIT_DECIMALS = 6
CLOUDEVENTS = "application/cloudevents"

_split = msgspec.json.Decoder(list[Raw])
_event = msgspec.json.Decoder(UsageEvent)
_encoder = msgspec.json.Encoder()


class Limits(Struct, frozen=True, kw_only=True):
    """What an ingest request may weigh: bytes of the unpacked body, events in it, bytes of one event."""

    body_bytes: int = 16 * 2**20
    batch_events: int = 10_000
    event_bytes: int = 256 * 2**10


DEFAULT_LIMITS = Limits()


class DecodedBatch(Struct, frozen=True):
    """What a body held: ``received`` = the good events + the errors."""

    received: int
    events: list[UsageEvent]
    errors: list[EventError]


class _Envelope(Struct, frozen=True):
    """A CloudEvent in structured mode (CloudEvents 1.0, JSON format)."""

    specversion: str
    id: str
    source: str
    data: dict[str, Any]
    time: str | None = None


_envelope = msgspec.json.Decoder(_Envelope)


def decode_batch(
    body: bytes,
    *,
    source: str,
    content_type: str = "application/json",
    encoding: str = "",
    limits: Limits = DEFAULT_LIMITS,
) -> DecodedBatch:
    """Read one event, a JSON array of events, or CloudEvents; an event without a source gets ``source``.

    Raises:
        InvalidRequestError: the body as a whole cannot be read (not JSON, broken gzip, unknown encoding or type).
        TooLargeError: the body, the batch or an event that comes alone is over its limit. Nothing of it is taken.
    """
    read = _reader(content_type)
    parts = _parts(_unpack(body, encoding, limits.body_bytes), limits.event_bytes)
    if len(parts) > limits.batch_events:
        raise TooLargeError(
            f"The batch holds {len(parts)} events, the limit is {limits.batch_events}: send it in several requests.",
            code="batch_too_large",
        )
    events: list[UsageEvent] = []
    errors: list[EventError] = []
    for index, part in enumerate(parts):
        size = len(memoryview(part))
        if size > limits.event_bytes:
            detail = f"The event has {size} bytes, the limit is {limits.event_bytes}: cut its bodies."
            errors.append(EventError(index, "event_too_large", detail))
            continue
        try:
            str(memoryview(part), "utf-8")  # nobody looks into its Raw parts before they are shown
            event = read(part)
            _check(event)
        except (ValueError, msgspec.MsgspecError, RecursionError) as error:
            errors.append(EventError(index, "invalid_event", str(error) or type(error).__name__))
            continue
        if not event.id or not event.source:
            event = msgspec.structs.replace(event, id=event.id or new_id(), source=event.source or source)
        events.append(event)
    return DecodedBatch(len(parts), events, errors)


def encode_batch(events: list[UsageEvent]) -> bytes:
    """Write events as one JSON array."""
    return _encoder.encode(events)


def _reader(content_type: str) -> Callable[[Raw], UsageEvent]:
    kind = content_type.partition(";")[0].strip().lower()
    if kind in {"", "application/json"}:
        return _event.decode
    if kind in {f"{CLOUDEVENTS}+json", f"{CLOUDEVENTS}-batch+json"}:
        return _from_cloudevent
    raise InvalidRequestError(
        f"Content type {kind!r} is not known: send application/json, {CLOUDEVENTS}+json or {CLOUDEVENTS}-batch+json.",
        code="unsupported_media_type",
    )


def _unpack(body: bytes, encoding: str, limit: int) -> bytes:
    name = encoding.strip().lower()
    if name in {"", "identity"}:
        data = body
    elif name in {"gzip", "x-gzip"}:
        unzip = zlib.decompressobj(wbits=31)
        try:
            data = unzip.decompress(body, limit + 1)
        except zlib.error as error:
            raise InvalidRequestError(f"The body is not gzip: {error}.", code="invalid_encoding") from None
        if len(data) <= limit and not unzip.eof:
            raise InvalidRequestError("The gzip body ends too early: send it whole.", code="invalid_encoding")
        if len(data) <= limit and unzip.unused_data:
            raise InvalidRequestError("The gzip body goes on after its end.", code="invalid_encoding")
    else:
        raise InvalidRequestError(
            f"Content encoding {name!r} is not known: send gzip or none.", code="invalid_encoding"
        )
    if len(data) > limit:
        raise TooLargeError(
            f"The body is over the limit of {limit} bytes: send smaller batches.", code="body_too_large"
        )
    return data


def _parts(data: bytes, event_limit: int) -> list[Raw]:
    many = data.lstrip()[:1] == b"["
    if not many and len(data) > event_limit:  # it has no neighbours to spare
        raise TooLargeError(
            f"The event has {len(data)} bytes, the limit is {event_limit}: cut its bodies.", code="event_too_large"
        )
    try:
        if many:
            return _split.decode(data)
        return [msgspec.json.decode(data, type=Raw)]
    except (ValueError, msgspec.MsgspecError, RecursionError) as error:
        if b"\\ud" in data.lower():
            return _parts_with_surrogates(data)
        raise InvalidRequestError(f"The body is not JSON: {error}.", code="invalid_json") from None


def _parts_with_surrogates(data: bytes) -> list[Raw]:
    """Split a body in which some text was cut inside a character, a lone surrogate: only that event is at fault."""
    try:
        found = json.loads(data)
        return [Raw(json.dumps(part)) for part in (found if isinstance(found, list) else [found])]
    except (ValueError, RecursionError) as error:
        raise InvalidRequestError(f"The body is not JSON: {error}.", code="invalid_json") from None


def _from_cloudevent(part: Raw) -> UsageEvent:
    envelope = _envelope.decode(part)
    if envelope.specversion != "1.0":
        raise ValueError(f"CloudEvents specversion {envelope.specversion!r} is not known: send 1.0.")
    data = {"id": envelope.id, "source": envelope.source} | envelope.data
    if envelope.time is not None:
        data.setdefault("time", envelope.time)
    return msgspec.json.decode(msgspec.json.encode(data), type=UsageEvent)


def _check(event: UsageEvent) -> None:
    if not EPOCH <= event.time < END:
        raise ValueError(f"time is {event.time.isoformat()}: it must be from the years 1970 to 9998.")
    check_units(event.units)


def check_units(units: Decimal) -> None:
    """Refuse units that no event may have, with a ValueError."""
    if not units.is_finite() or not 0 <= units < MAX_UNITS:
        raise ValueError(f"units is {units}: it must be from 0 to below {MAX_UNITS}.")
    digits, exponent = units.as_tuple()[1:]
    if len(digits) > MAX_UNIT_DIGITS or (exponent < -UNIT_DECIMALS and units != round(units, UNIT_DECIMALS)):  # type: ignore[operator]  # finite: an int
        raise ValueError(f"units has more than {UNIT_DECIMALS} decimals: round it.")
