"""The proof that the numbers of invoices and of credit notes have no gap, and are of what was issued."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tollkeeper.service.invoicing.numbers import CREDIT_NOTES, INVOICES
from tollkeeper.store.invoices import Invoice, InvoiceSeries, IssuedCreditNote

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tollkeeper.store.protocols import Records

__all__ = ["check_numbers"]

PAGE = 500
SHOWN = 3


def check_numbers(records: Records) -> Iterator[str]:
    """Name each series of numbers that has a gap, each number that no series gave or that a draft has."""
    states = _of_invoices(records)
    drafts = sorted(number for number, state in states.items() if state == "draft")
    if drafts:
        yield f"Drafts have the numbers {_some(drafts)}: what has a number is final, or void."
    taken = {INVOICES: set(states), CREDIT_NOTES: _of_credit_notes(records)}
    for series in records.find(InvoiceSeries):
        kind = series.name.removesuffix(f" {series.prefix}")
        numbers = taken.get(kind, set())
        given = [f"{series.prefix}{number:06d}" for number in range(1, series.next)]
        missing = [number for number in given if number not in numbers]
        numbers.difference_update(given)
        if missing:
            yield f"The {kind} of the series {series.prefix!r} lack {_some(missing)}."
    for kind, numbers in taken.items():
        if numbers:
            yield f"No series of {kind} gave the numbers {_some(sorted(numbers))}."


def _of_invoices(records: Records) -> dict[str, str]:
    """The numbers of invoices with the states of these."""
    return {
        number: state
        for number, state in records.sums(Invoice, "attempt", ("number", "state"))
        if number is not None and state is not None
    }


def _of_credit_notes(records: Records) -> set[str]:
    found: set[str] = set()
    after = None
    while page := records.page(IssuedCreditNote, after=after, limit=PAGE):
        found.update(note.number for note in page)
        after = page[-1].id
    return found


def _some(numbers: list[str]) -> str:
    more = f" and {len(numbers) - SHOWN} more" if len(numbers) > SHOWN else ""
    return f"{', '.join(numbers[:SHOWN])}{more}"
