"""What a meter makes of a customer's events."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from itertools import islice
from typing import TYPE_CHECKING

from msgspec import Struct

from tollkeeper.billing.customer import ApiKey, Customer
from tollkeeper.errors import InvalidRequestError
from tollkeeper.events.timestamps import from_microseconds
from tollkeeper.metering.aggregate import Aggregate, aggregate, merge, value_of
from tollkeeper.metering.definition import MeterDefinition
from tollkeeper.metering.meter import read_event
from tollkeeper.service.listing import find_record
from tollkeeper.service.selling.meters import meter_of
from tollkeeper.store.protocols import EventSpan

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from tollkeeper.events.event import UsageEvent
    from tollkeeper.metering.meter import Meter
    from tollkeeper.service.bootstrap import Service
    from tollkeeper.service.periods import Period

__all__ = ["MeterGroup", "MeterValue", "meter_value"]

MICRO = 1_000_000
MAX_SPAN = 366 * 24 * 3_600 * MICRO
MAX_GROUPS = 10_000
AT_ONCE = 10_000


class MeterGroup(Struct, frozen=True, kw_only=True):
    """The value of the events that have these values in the fields of ``group_by``, in their order."""

    group: list[str | None]
    value: Decimal


class MeterValue(Struct, frozen=True, kw_only=True):
    """What a meter makes of the events of a customer in ``[start, end)``: the sum of its groups.

    ``events`` passed the filters and were counted; of ``unread`` ones the field held nothing that counts.
    """

    meter: str
    customer: str
    start: datetime
    end: datetime
    value: Decimal
    groups: list[MeterGroup]
    events: int
    unread: int


def meter_value(service: Service, meter_id: str, customer_id: str, period: Period) -> MeterValue:
    """Work a meter out from the raw events of all keys that a customer has or had.

    Raises NotFoundError, and InvalidRequestError for more than a year or 10,000 groups.
    """
    if period.end - period.start > MAX_SPAN:
        raise InvalidRequestError("The period is longer than a year: give from and to that are closer.")
    with service.catalog.reading() as records:
        meter = meter_of(find_record(records, MeterDefinition, meter_id))
        customer = find_record(records, Customer, customer_id)
        keys = [key.fingerprint for key in records.find(ApiKey, customer=customer.id)]
    span = EventSpan(start=period.start, end=period.end, until=service.events.last_seq())
    with service.events.walk(span, [keys]) as found:
        groups = _aggregates(meter, (stored.event for _, stored in found))
    values = {group: value_of(meter, found) for group, found in groups.items()}
    return MeterValue(
        meter=meter_id,
        customer=customer.id,
        start=from_microseconds(period.start),
        end=from_microseconds(period.end),
        value=_units(sum(values.values())),
        groups=[MeterGroup(group=list(group), value=_units(values[group])) for group in sorted(values, key=_order)],
        events=sum(found.events for found in groups.values()),
        unread=sum(found.unread for found in groups.values()),
    )


def _aggregates(meter: Meter, events: Iterable[UsageEvent]) -> dict[tuple[str | None, ...], Aggregate]:
    """Add events up by group, some thousand at a time, so that neither time nor memory grows with their number."""
    groups: dict[tuple[str | None, ...], Aggregate] = {}
    left = iter(events)
    while some := list(islice(left, AT_ONCE)):
        found: dict[tuple[str | None, ...], list[Aggregate]] = {}
        for group, one in _read(meter, some):
            found.setdefault(group, []).append(one)
        for group, parts in found.items():
            groups[group] = merge([*([groups[group]] if group in groups else []), *parts])
        if len(groups) > MAX_GROUPS:
            raise InvalidRequestError(f"There are more than {MAX_GROUPS:,} groups: give a shorter period.")
    return groups


def _read(meter: Meter, events: Iterable[UsageEvent]) -> Iterator[tuple[tuple[str | None, ...], Aggregate]]:
    for event in events:
        reading = read_event(meter, event)
        if reading is not None:
            yield reading.group, aggregate(meter, event.time_us, reading.value)


def _order(group: tuple[str | None, ...]) -> list[tuple[bool, str]]:
    return [(value is not None, value or "") for value in group]


def _units(millionths: int) -> Decimal:
    """Exact at any size, which dividing a Decimal is not."""
    whole, rest = divmod(millionths, MICRO)
    return Decimal(f"{whole}.{rest:06}".rstrip("0").rstrip("."))
