"""The dated rows of a price: read from a definition, checked, and found by time. Rows are never edited."""

from __future__ import annotations

from datetime import datetime
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import Struct

from tollkeeper.billing.models.flat_fee import FlatFee
from tollkeeper.billing.models.graduated import Graduated
from tollkeeper.billing.models.graduated_percentage import GraduatedPercentage
from tollkeeper.billing.models.included import Included
from tollkeeper.billing.models.package import Package
from tollkeeper.billing.models.per_unit import PerUnit
from tollkeeper.billing.models.percentage import Percentage
from tollkeeper.billing.models.volume import Volume
from tollkeeper.errors import ConflictError, UnprocessableError
from tollkeeper.events.timestamps import END, EPOCH

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

__all__ = ["PriceModel", "PriceRow", "check_rows", "parse_price", "row_at"]

PriceModel = PerUnit | Graduated | Volume | Package | Percentage | GraduatedPercentage | Included | FlatFee
MODELS = (
    "per_unit, graduated, volume, package, percentage, graduated_percentage, included or flat_fee, as in"
    ' {"model": "per_unit", "unit_price": "0.01"}'
)


class PriceRow(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """A price in force in ``[valid_from, valid_to)``, aware times; without the one from ever, without the other on."""

    price: PriceModel
    valid_from: datetime = EPOCH
    valid_to: datetime = END

    def __post_init__(self) -> None:
        if self.valid_from.tzinfo is None or self.valid_to.tzinfo is None:
            raise UnprocessableError(
                "The price's time has no zone: give valid_from and valid_to with one, e.g. with Z."
            )
        if self.valid_from < EPOCH or self.valid_to > END:
            raise UnprocessableError(
                f"The price is in force from {self.valid_from.isoformat()} to {self.valid_to.isoformat()}: give times"
                " between 1970 and 9999, or leave them out."
            )
        if self.valid_from >= self.valid_to:
            raise UnprocessableError(
                f"The price is in force from {self.valid_from.isoformat()} to {self.valid_to.isoformat()}, which is"
                " never: give a later valid_to."
            )


def parse_price(definition: Any) -> PriceModel:
    """Read a price from plain values, as JSON and TOML have them; raises UnprocessableError."""
    try:
        price: PriceModel = msgspec.convert(definition, PriceModel)
    except msgspec.ValidationError as error:
        raise UnprocessableError(f"The price can't be read: {error}. Give a model and its parts: {MODELS}.") from error
    return price


def check_rows(rows: Iterable[PriceRow]) -> tuple[PriceRow, ...]:
    """Put the rows of one price in order of time.

    Raises ConflictError when two are in force at once, UnprocessableError when there is none, or when a fee for the
    period stands among prices of what is used.
    """
    ordered = tuple(sorted(rows, key=lambda row: row.valid_from))
    if not ordered:
        raise UnprocessableError("The price has no rows: give one at least.")
    for before, after in pairwise(ordered):
        if after.valid_from < before.valid_to:
            raise ConflictError(
                f"A price from {after.valid_from.isoformat()} on would be in force together with the one from"
                f" {before.valid_from.isoformat()} to {before.valid_to.isoformat()}: end that one, or begin later."
            )
    if len({isinstance(row.price, FlatFee) for row in ordered}) > 1:
        raise UnprocessableError("A flat_fee stands among prices of what is used: make it a price of its own.")
    return ordered


def row_at(rows: Sequence[PriceRow], at: datetime) -> PriceRow | None:
    """The row in force at a time, None where there is none."""
    return next((row for row in rows if row.valid_from <= at < row.valid_to), None)
