"""Rows as a Parquet file, by pyarrow, which only who wants such a file needs."""

from __future__ import annotations

import io
from decimal import Decimal
from importlib import import_module
from itertools import islice
from typing import TYPE_CHECKING, Any

from tollkeeper.errors import MissingDependencyError
from tollkeeper.service.exports.tables import PLACES

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tollkeeper.service.exports.tables import Cell, Column, Export

__all__ = ["load_pyarrow", "to_parquet"]

GROUP = 10_000
"""Rows of a group: what is held at a time."""
DIGITS = 38
TOO_LARGE = 10 ** (DIGITS - PLACES)


def load_pyarrow() -> Any:
    """The library; raises MissingDependencyError, which names the extra that brings it."""
    try:
        import_module("pyarrow.parquet")
        return import_module("pyarrow")
    except ImportError as error:
        raise MissingDependencyError(
            f"Parquet needs 'pyarrow': pip install 'tollkeeper[parquet]', or ask for csv ({error})."
        ) from error


def to_parquet(export: Export, pa: Any) -> Iterator[bytes]:
    """The file in pieces, of which each is a group of rows; money is decimal128 and times are microseconds in UTC."""
    kinds = {
        "text": pa.string(),
        "integer": pa.int64(),
        "money": pa.decimal128(DIGITS, 4),
        "number": pa.decimal128(DIGITS, PLACES),
        "time": pa.timestamp("us", "UTC"),
    }
    schema = pa.schema([pa.field(one.name, kinds[one.kind], nullable=one.nullable) for one in export.columns])
    sink, rows = _Pieces(), iter(export.rows)
    with pa.parquet.ParquetWriter(sink, schema, compression="zstd") as writer:
        while some := list(islice(rows, GROUP)):
            columns = zip(zip(*some, strict=True), export.columns, schema, strict=True)
            arrays = [pa.array(_fitting(cells, column), field.type) for cells, column, field in columns]
            writer.write_table(pa.Table.from_arrays(arrays, schema=schema))
            yield sink.take()
    yield sink.take()


def _fitting(cells: Sequence[Cell], column: Column) -> Sequence[Cell]:
    """Cells without the numbers that their type can't hold, as of what a meter read off a broken field."""
    if column.kind != "number":
        return cells
    return [None if isinstance(cell, Decimal) and abs(cell) >= TOO_LARGE else cell for cell in cells]


class _Pieces(io.RawIOBase):
    """A file that is only written: what was written since it was last taken."""

    def __init__(self) -> None:
        self._written: list[bytes] = []
        self._place = 0

    def writable(self) -> bool:  # asked by pyarrow, from outside of Python
        return True

    def write(self, data: Any) -> int:
        self._written.append(bytes(data))
        self._place += len(self._written[-1])
        return len(self._written[-1])

    def tell(self) -> int:
        return self._place

    def take(self) -> bytes:
        found, self._written = b"".join(self._written), []
        return found
