"""Meters: what is counted of the events, which of them, and apart by what."""

from __future__ import annotations

from decimal import ROUND_HALF_UP, Context, Decimal
from typing import TYPE_CHECKING, Literal

from msgspec import Struct

from tollkeeper.errors import UnprocessableError
from tollkeeper.metering.field import check_path, field_text, field_value

if TYPE_CHECKING:
    from tollkeeper.events.event import UsageEvent

__all__ = ["Aggregation", "Meter", "MeterFilter", "Reading", "read_event"]

Aggregation = Literal["count", "sum", "max", "unique", "latest", "percentile"]

MICRO = Decimal("0.000001")
HUNDRED = 100
MAX_DIGITS = 60
MAX_DECIMALS = 12
EXACT = Context(prec=MAX_DIGITS + 10)


class MeterFilter(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """What an event must match: its field as text among ``one_of`` and not among ``none_of``, as a number in a range.

    A field with nothing in it is not among any, and in no range.
    """

    field: str
    one_of: tuple[str, ...] | None = None
    none_of: tuple[str, ...] = ()
    at_least: Decimal | None = None
    below: Decimal | None = None

    def __post_init__(self) -> None:
        check_path(self.field)
        if self.one_of is None and not self.none_of and self.at_least is None and self.below is None:
            raise UnprocessableError(
                f"The filter on {self.field!r} asks for nothing: give one_of, none_of, at_least or below."
            )
        if not all(bound is None or _is_plain(bound) for bound in (self.at_least, self.below)):
            raise UnprocessableError(
                f"The filter on {self.field!r} has a bound that is no number with up to {MAX_DIGITS} digits and"
                f" {MAX_DECIMALS} decimals: give one, e.g. 400."
            )

    def matches(self, event: UsageEvent) -> bool:
        """Whether an event passes."""
        text = field_text(event, self.field)
        if text in self.none_of or (self.one_of is not None and text not in self.one_of):
            return False
        if self.at_least is None and self.below is None:
            return True
        number = _number(field_value(event, self.field))
        if number is None or (self.at_least is not None and number < self.at_least):
            return False
        return self.below is None or number < self.below


class Meter(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """An aggregation over ``field`` of the events that pass all ``filters``, apart by the values of ``group_by``.

    ``percentile`` is the share in per cent, 95 for the p95.
    """

    name: str
    aggregation: Aggregation
    field: str | None = None
    percentile: Decimal | None = None
    filters: tuple[MeterFilter, ...] = ()
    group_by: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if (self.aggregation == "count") != (self.field is None):
            hint = "leave field out" if self.field is not None else "give the field that it is of, e.g. units"
            raise UnprocessableError(f"The meter {self.name!r} is a {self.aggregation}: {hint}.")
        if (self.aggregation == "percentile") != (self.percentile is not None):
            hint = "leave percentile out" if self.percentile is not None else "give percentile, e.g. 95"
            raise UnprocessableError(f"The meter {self.name!r} is a {self.aggregation}: {hint}.")
        if self.percentile is not None and not (_is_plain(self.percentile) and 0 < self.percentile <= HUNDRED):
            raise UnprocessableError(
                f"The percentile of {self.name!r} is {self.percentile!s:.40}: give one in (0, 100]."
            )
        for path in (*self.group_by, *([self.field] if self.field is not None else [])):
            check_path(path)


class Reading(Struct, frozen=True):
    """What a meter reads off one event: its group, and the field's value as a number in millionths or as a text.

    ``value`` is None when the field holds nothing that the meter can add: such an event is told, not charged.
    """

    group: tuple[str | None, ...]
    value: int | str | None


def read_event(meter: Meter, event: UsageEvent) -> Reading | None:
    """Read one event; None when it does not pass the filters. A count reads 1, a unique the field's text."""
    for one in meter.filters:
        if not one.matches(event):
            return None
    group = tuple([field_text(event, path) for path in meter.group_by]) if meter.group_by else ()
    if meter.field is None:
        return Reading(group, 1_000_000)
    if meter.aggregation == "unique":
        return Reading(group, field_text(event, meter.field))
    return Reading(group, _millionths(_number(field_value(event, meter.field))))


def _is_plain(number: Decimal) -> bool:
    """Whether a number is finite, and short enough to be written out and worked with."""
    exponent = number.as_tuple().exponent
    return isinstance(exponent, int) and exponent >= -MAX_DECIMALS and number.adjusted() < MAX_DIGITS


def _number(value: object) -> Decimal | None:
    """The exact number that stands in a field: of a float what it prints; None for what is no finite number."""
    if isinstance(value, Decimal):
        return value if value.is_finite() else None
    if isinstance(value, float):
        number = Decimal(repr(value))
        return number if number.is_finite() else None
    return Decimal(value) if isinstance(value, int) and not isinstance(value, bool) else None


def _millionths(number: Decimal | None) -> int | None:
    """A number in millionths, rounded half away from zero; None for one below zero or of more than 60 digits."""
    if number is None or number < 0 or number.adjusted() >= MAX_DIGITS:
        return None
    return int(number.quantize(MICRO, ROUND_HALF_UP, EXACT).scaleb(6, EXACT))
