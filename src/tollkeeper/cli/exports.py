"""``tollkeeper export``: charges, invoices and events as CSV, JSON lines or Parquet."""

from __future__ import annotations

import contextlib
import sys
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import typer

from tollkeeper.cli.options import StoreOption, opened
from tollkeeper.service.exports.charges import export_charges
from tollkeeper.service.exports.events import export_events
from tollkeeper.service.exports.focus import export_focus
from tollkeeper.service.exports.invoices import export_invoices
from tollkeeper.service.exports.span import export_span
from tollkeeper.service.exports.writing import write_export

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tollkeeper.service.exports.tables import Export

__all__ = ["export_app"]

START = typer.Option(None, "--from", metavar="TIME", help="Start, included. Default: the start of last month.")
END = typer.Option(None, "--to", metavar="TIME", help="End, excluded. Default: now; without --from the end of it.")
FILE = typer.Option(None, "--output", "-o", metavar="FILE", help="Where to. Default: the output.")
export_app = typer.Typer(no_args_is_help=True, help="Charges, invoices and events as CSV, JSON lines or Parquet.")


class Format(StrEnum):
    """Kinds of files."""

    csv = "csv"
    jsonl = "jsonl"
    parquet = "parquet"


FORMAT = typer.Option(Format.csv, "--format", help="Kind of the file; parquet needs the extra 'parquet'.")


@export_app.command("charges")
def charges(
    *,
    start: str = START,
    end: str = END,
    file_format: Format = FORMAT,
    focus: bool = typer.Option(False, "--focus", help="Columns of FOCUS 1.2, with a row for each tax."),
    output: Path = FILE,
    store: StoreOption = None,
) -> None:
    """Export the lines of invoices and credit notes that were issued in a time."""
    with opened(store, must_exist=True) as service:
        span = export_span(start, end, datetime.now(UTC))
        _write((export_focus if focus else export_charges)(service.catalog, *span), file_format, output)


@export_app.command("invoices")
def invoices(
    *, start: str = START, end: str = END, file_format: Format = FORMAT, output: Path = FILE, store: StoreOption = None
) -> None:
    """Export the invoices and credit notes that were issued in a time."""
    with opened(store, must_exist=True) as service:
        span = export_span(start, end, datetime.now(UTC))
        _write(export_invoices(service.catalog, *span), file_format, output)


@export_app.command("events")
def events(
    *, start: str = START, end: str = END, file_format: Format = FORMAT, output: Path = FILE, store: StoreOption = None
) -> None:
    """Export the calls of a time, newest first."""
    with opened(store, must_exist=True) as service:
        span = export_span(start, end, datetime.now(UTC))
        _write(export_events(service.events, *span), file_format, output)


def _write(export: Export, file_format: Format, output: Path | None) -> None:
    if output is None and file_format is Format.parquet and _is_terminal():
        raise typer.BadParameter("A terminal can't show Parquet: give --output FILE.")
    pieces = write_export(export, file_format.value)
    with _opened(output) as file:
        for piece in pieces:
            file.write(piece)


@contextlib.contextmanager
def _opened(output: Path | None) -> Iterator[BinaryIO]:
    """Where the file goes: a file is there when it is whole, and what was there stays until then."""
    if output is None:
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    unfinished = output.with_name(f"{output.name}.part")
    try:
        with unfinished.open("wb") as file:
            yield file
        unfinished.replace(output)
    finally:
        unfinished.unlink(missing_ok=True)


def _is_terminal() -> bool:
    return sys.stdout.isatty()
