"""Rows of figures, each beside a peer or a limit, as a table for the terminal and one for the documentation."""

from __future__ import annotations

import math
import os
import platform
import re
import sqlite3
from statistics import median
from typing import TYPE_CHECKING, Literal

from msgspec import Struct
from rich.table import Table

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

__all__ = ["Budget", "Row", "beside", "to_rich", "write_page"]

HEADINGS = ("What", "Figure", "Beside it", "Its figure", "Ratio", "Budget", "Note")


class Budget(Struct, frozen=True):
    """A limit on the ratio of a row, or on its figure."""

    bound: float
    sense: Literal["at most", "at least"] = "at most"
    of: Literal["ratio", "figure"] = "ratio"

    def met(self, row: Row) -> bool | None:
        """Whether a row keeps to it; None when the row has no such value."""
        value = row.ratio if self.of == "ratio" else row.figure
        if value is None:
            return None
        return value <= self.bound if self.sense == "at most" else value >= self.bound


class Row(Struct, frozen=True, kw_only=True):
    """One figure and the one that ran beside it; both None when the row was not run, and ``note`` says why."""

    what: str
    figure: float | None = None
    unit: str = ""
    peer: str = ""
    peer_figure: float | None = None
    ratio: float | None = None
    budget: Budget | None = None
    note: str = ""

    def cells(self) -> tuple[str, ...]:
        """The row as text, in the order of the headings."""
        return (
            self.what,
            "not run" if self.figure is None else _amount(self.figure, self.unit),
            self.peer,
            "" if self.peer_figure is None else _amount(self.peer_figure, self.unit),
            "" if self.ratio is None else f"{_digits(self.ratio)} x",
            self._verdict(),
            self.note,
        )

    def _verdict(self) -> str:
        if self.budget is None:
            return ""
        sign = "≤" if self.budget.sense == "at most" else "≥"
        bound = f"{self.budget.bound:g} x" if self.budget.of == "ratio" else _amount(self.budget.bound, self.unit)
        verdict = {True: ": met", False: ": **not met**", None: ""}[self.budget.met(self)]
        return f"{sign} {bound}{verdict}"


def beside(
    what: str,
    ours: Sequence[float],
    peer: str,
    theirs: Sequence[float],
    *,
    unit: str,
    budget: Budget | None = None,
    note: str = "",
) -> Row:
    """Compare figures of the same rounds: medians, and the median of the ratios within each round."""
    ratios = [one / other for one, other in zip(ours, theirs, strict=True) if other > 0]
    return Row(
        what=what,
        figure=median(ours),
        unit=unit,
        peer=peer,
        peer_figure=median(theirs),
        ratio=median(ratios) if ratios else None,
        budget=budget,
        note=note,
    )


def to_rich(title: str, rows: Sequence[Row]) -> Table:
    """Lay rows out for the terminal."""
    table = Table(title=title, title_justify="left")
    for heading in HEADINGS:
        table.add_column(heading, justify="right" if heading in {"Figure", "Its figure", "Ratio"} else "left")
    for row in rows:
        *shown, verdict, note = row.cells()
        table.add_row(*shown, verdict.replace("**", ""), note)
    return table


def write_page(page: Path, tables: Mapping[str, Sequence[Row]]) -> None:
    """Put each table between the markers of its name in a page, and the machine between those of ``machine``."""
    text = page.read_text(encoding="utf-8")
    for name, rows in tables.items():
        text = _replace(text, name, _markdown(rows))
    page.write_text(_replace(text, "machine", _machine()), encoding="utf-8")


def _replace(text: str, name: str, content: str) -> str:
    start, end = f"<!-- {name}: start -->", f"<!-- {name}: end -->"
    pattern = re.compile(f"{re.escape(start)}.*?{re.escape(end)}", re.DOTALL)
    if not pattern.search(text):
        raise ValueError(f"The page has no markers {start} and {end}: put them where the table belongs.")
    return pattern.sub(lambda _: f"{start}\n{content}\n{end}", text)


def _markdown(rows: Sequence[Row]) -> str:
    lines = ["| " + " | ".join(HEADINGS) + " |", "| --- | ---: | --- | ---: | ---: | --- | --- |"]
    lines += ["| " + " | ".join(cell.replace("|", "\\|") for cell in row.cells()) + " |" for row in rows]
    return "\n".join(lines)


def _machine() -> str:
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return (
        f"Last run on {cores} cores, {platform.system()} {platform.machine()}, "
        f"{platform.python_implementation()} {platform.python_version()}, SQLite {sqlite3.sqlite_version}."
    )


def _amount(value: float, unit: str) -> str:
    return f"{_digits(value)} {unit}".rstrip()


def _digits(value: float) -> str:
    """Three significant digits, thousands apart."""
    if not value:
        return "0"
    decimals = max(0, 2 - math.floor(math.log10(abs(value))))
    return f"{round(value, 2 - math.floor(math.log10(abs(value)))):,.{decimals}f}"
