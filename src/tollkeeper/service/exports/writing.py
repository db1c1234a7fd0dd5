"""Rows as the bytes of a file, some at a time, however many there are."""

from __future__ import annotations

import csv
import io
from datetime import UTC, datetime
from decimal import Decimal
from itertools import islice
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from tollkeeper.service.exports.parquet import load_pyarrow, to_parquet
from tollkeeper.service.spreadsheet import harmless

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tollkeeper.service.exports.tables import Cell, Export

__all__ = ["MEDIA_TYPES", "FileFormat", "write_export"]

FileFormat = Literal["csv", "jsonl", "parquet"]
MEDIA_TYPES: dict[FileFormat, str] = {
    "csv": "text/csv",
    "jsonl": "application/jsonl",
    "parquet": "application/vnd.apache.parquet",
}
BATCH = 1_000


def write_export(export: Export, file_format: FileFormat) -> Iterator[bytes]:
    """The file in pieces; a library that is missing raises MissingDependencyError at once."""
    if file_format == "parquet":
        return to_parquet(export, load_pyarrow())
    return _csv(export) if file_format == "csv" else _jsonl(export)


def _csv(export: Export) -> Iterator[bytes]:
    """Lines with the names above them; a text that a spreadsheet would run as a formula is quoted."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\r\n")
    writer.writerow([column.name for column in export.columns])
    rows = iter(export.rows)
    while text.tell():
        yield text.getvalue().encode()
        text.seek(0)
        text.truncate()
        writer.writerows([_cell(cell) for cell in row] for row in islice(rows, BATCH))


def _jsonl(export: Export) -> Iterator[bytes]:
    names = [column.name for column in export.columns]
    rows = iter(export.rows)
    while some := list(islice(rows, BATCH)):
        yield msgspec.json.Encoder(decimal_format="string").encode_lines(
            [dict(zip(names, map(_plain, row), strict=True)) for row in some]
        )


def _cell(cell: Cell) -> Any:
    return harmless(cell) if isinstance(cell, str) else _plain(cell)


def _plain(cell: Cell) -> str | int | None:
    if isinstance(cell, Decimal):
        return format(cell, "f")
    if isinstance(cell, datetime):
        return cell.astimezone(UTC).isoformat().replace("+00:00", "Z")
    return cell
