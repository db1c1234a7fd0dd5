"""How large a line may be: what a meter reads has no bound, but what a store keeps as a number has."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tollkeeper.billing.money import to_minor
from tollkeeper.errors import UnprocessableError

if TYPE_CHECKING:
    from tollkeeper.billing.statement import Statement

__all__ = ["check_lines", "kept_quantity"]

LARGEST = 2**63 - 1


def check_lines(statement: Statement) -> Statement:
    """Refuse a statement with a line of more money than can be kept; raises UnprocessableError."""
    currency = statement.invoice.currency
    for line in statement.invoice.lines:
        if abs(to_minor(line.net, currency)) > LARGEST:
            raise UnprocessableError(
                f"The line {line.name[:100]!r} comes to more than an invoice can say: look at its price, and at what"
                " its meter reads."
            )
    return statement


def kept_quantity(quantity: int | None) -> int | None:
    """A quantity as the row of its line has it: None for one that is too large, which its statement alone has."""
    return quantity if quantity is not None and abs(quantity) <= LARGEST else None
