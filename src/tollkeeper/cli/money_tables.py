"""Tables of money: amounts with their currency to the right, texts to the left."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import typer
from rich.table import Table
from rich.text import Text

from tollkeeper.cli.options import console

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from decimal import Decimal

__all__ = ["amount", "print_json", "print_rows", "seconds", "share"]

MILLISECONDS = 1_000


def print_json(value: Any) -> None:
    """Print a record, or some, as JSON for people and programs."""
    typer.echo(msgspec.json.format(msgspec.json.encode(value)).decode())


def print_rows(columns: Mapping[str, Sequence[str]], *, texts: Sequence[str], none: str) -> None:
    """Print columns under their names, those of ``texts`` to the left; ``none`` when they are empty."""
    if not any(columns.values()):
        typer.echo(none)
        return
    table = Table(box=None, header_style="bold", pad_edge=False)
    for name in columns:
        is_text = name in texts
        table.add_column(name, justify="left" if is_text else "right", no_wrap=not is_text, overflow="fold")
    for row in zip(*columns.values(), strict=True):
        table.add_row(*map(Text, row))
    console().print(table)


def amount(value: Decimal, currency: str) -> str:
    """An amount of money as a person reads it."""
    return f"{value:,f} {currency}"


def share(value: float | None) -> str:
    """A share of 1 in per cent."""
    return "-" if value is None else f"{value:.1%}"


def seconds(value: float | None) -> str:
    """A short time in milliseconds."""
    return "-" if value is None else f"{value * MILLISECONDS:,.1f} ms"
