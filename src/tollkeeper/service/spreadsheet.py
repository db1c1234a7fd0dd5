"""What a cell of a CSV file may hold: spreadsheets run some texts as formulas."""

from __future__ import annotations

from typing import Any

__all__ = ["harmless"]

RISKY = ("=", "+", "-", "@", "\t", "\r", "\n")
"""What a spreadsheet takes for the beginning of a formula."""


def harmless(cell: Any) -> Any:
    """The cell, a text that a spreadsheet would run as a formula with an apostrophe before it."""
    return f"'{cell}" if isinstance(cell, str) and cell.startswith(RISKY) else cell
