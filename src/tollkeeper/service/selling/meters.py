"""Meters: defined once, named by prices of plans, and never changed."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING

import msgspec
from msgspec import Struct

from tollkeeper.billing.plan import Plan
from tollkeeper.billing.rate_card import rate_card
from tollkeeper.errors import ConflictError, UnprocessableError
from tollkeeper.events.ids import record_id
from tollkeeper.metering.definition import MeterDefinition
from tollkeeper.metering.meter import Aggregation, Meter, MeterFilter
from tollkeeper.service.listing import find_record

if TYPE_CHECKING:
    from tollkeeper.service.audit import Edit

__all__ = ["MeterView", "create_meter", "meter_of", "remove_meter", "show_meter"]

MAX_NAME = 255
MAX_FILTERS = 100
MAX_GROUPS = 10
MAX_BYTES = 100_000
"""Of all of a meter as JSON: it is read with every run of invoices, and its paths with every event."""


class MeterView(Struct, frozen=True, kw_only=True):
    """A meter; of its ``filters``, what is not asked for is left out."""

    id: str
    name: str
    aggregation: Aggregation
    field: str | None
    percentile: Decimal | None
    filters: list[MeterFilter]
    group_by: list[str]
    created_at: datetime


def create_meter(edit: Edit, meter: Meter) -> MeterDefinition:
    """Make a meter; raises ConflictError or UnprocessableError."""
    if not 1 <= len(meter.name) <= MAX_NAME:
        raise UnprocessableError(f"The name has {len(meter.name)} characters: give 1 to {MAX_NAME}.")
    if len(meter.filters) > MAX_FILTERS or len(meter.group_by) > MAX_GROUPS:
        raise UnprocessableError(
            f"The meter {meter.name!r} has too many filters or groups: give up to {MAX_FILTERS} filters and"
            f" {MAX_GROUPS} fields to group by."
        )
    if len(msgspec.json.encode(meter)) > MAX_BYTES:
        raise UnprocessableError(
            f"The meter {meter.name!r} is over {MAX_BYTES:,} bytes: give shorter filters or fields."
        )
    if edit.records.find(MeterDefinition, name=meter.name):
        raise ConflictError(
            f"There is a meter {meter.name!r} already, and meters are never changed: give another name."
        )
    body = msgspec.to_builtins(meter)
    made = MeterDefinition(id=record_id("mtr"), name=meter.name, body=body, created_at=edit.now)
    edit.add(made)
    return made


def remove_meter(edit: Edit, meter_id: str) -> None:
    """Take a meter away that no plan names; raises NotFoundError, or ConflictError for one that is named."""
    found = find_record(edit.records, MeterDefinition, meter_id)
    for plan in edit.records.find(Plan):
        if any(price.meter == found.name for price in rate_card(plan).prices):
            raise ConflictError(f"The plan {plan.name!r} has a price by the meter {found.name!r}: it has to stay.")
    edit.remove(found)


def meter_of(definition: MeterDefinition) -> Meter:
    """The meter of the catalogue as it counts."""
    return msgspec.convert(definition.body, Meter)


def show_meter(definition: MeterDefinition) -> MeterView:
    """A meter as it is shown."""
    meter = meter_of(definition)
    return MeterView(
        id=definition.id,
        name=meter.name,
        aggregation=meter.aggregation,
        field=meter.field,
        percentile=meter.percentile,
        filters=list(meter.filters),
        group_by=list(meter.group_by),
        created_at=definition.created_at,
    )
