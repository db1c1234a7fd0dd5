"""What an exported file has in it: columns of one kind each."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Literal

from msgspec import Struct

if TYPE_CHECKING:
    from fractions import Fraction

__all__ = ["Cell", "Column", "Export", "Rows", "decimal_of"]

ColumnKind = Literal["text", "integer", "money", "number", "time"]
PLACES = 18
Cell = str | int | Decimal | datetime | None
Rows = Iterable[tuple[Cell, ...]]
"""One cell for each column."""


class Column(Struct, frozen=True):
    """A column; ``money`` has the decimals of its currency, up to four, and a ``number`` up to eighteen."""

    name: str
    kind: ColumnKind = "text"
    nullable: bool = True


class Export(Struct, frozen=True):
    """Rows to be written, which can be gone through once."""

    columns: tuple[Column, ...]
    rows: Rows


def decimal_of(exact: Fraction) -> Decimal:
    """The nearest decimal with up to 18 places, without zeros at its end."""
    scaled = round(exact * 10**PLACES)
    places = PLACES
    while places and scaled % 10 == 0:
        scaled, places = scaled // 10, places - 1
    return Decimal((0 if scaled >= 0 else 1, tuple(map(int, str(abs(scaled)))), -places))
