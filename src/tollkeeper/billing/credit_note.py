"""Credit notes: what is given back of an invoice's lines, with its taxes; together never more than the invoice."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction
from typing import TYPE_CHECKING

from msgspec import Struct

from tollkeeper.billing.money import from_minor, round_money, to_minor, total
from tollkeeper.errors import UnprocessableError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tollkeeper.billing.invoice import DraftInvoice
    from tollkeeper.billing.tax import TaxSum

__all__ = ["CreditNote", "credit_invoice"]


class CreditNote(Struct, frozen=True, kw_only=True):
    """What is given back: net by the line's number (from 0), tax by the rate's name; ``total`` is both."""

    currency: str
    lines: dict[int, Decimal]
    taxes: dict[str, Decimal]
    net: Decimal
    tax: Decimal
    total: Decimal


def credit_invoice(invoice: DraftInvoice, earlier: Sequence[CreditNote], amounts: Mapping[int, Decimal]) -> CreditNote:
    """Give back net ``amounts`` of lines by their number. A line below zero is given back below zero.

    Tax is rounded a rate, and never more than what earlier notes left; the note that gives back the last of a rate's
    lines gives back all that is left of its tax. Raises UnprocessableError for more than is left of a line or of all.
    """
    currency = invoice.currency
    credited = {number: to_minor(amount, currency) for number, amount in amounts.items()}
    left = [
        to_minor(line.net, currency)
        - sum(to_minor(note.lines[number], currency) for note in earlier if number in note.lines)
        for number, line in enumerate(invoice.lines)
    ]
    _check(credited, left, sum(left), currency)
    taxes = {one.name: _tax(invoice, one, earlier, credited, left) for one in invoice.taxes}
    net, tax = from_minor(sum(credited.values()), currency), total(taxes.values(), currency)
    return CreditNote(
        currency=currency,
        lines={number: from_minor(minor, currency) for number, minor in credited.items()},
        taxes=taxes,
        net=net,
        tax=tax,
        total=total((net, tax), currency),
    )


def _check(credited: Mapping[int, int], left: Sequence[int], all_left: int, currency: str) -> None:
    for number, minor in credited.items():
        if not 0 <= number < len(left):
            raise UnprocessableError(f"There is no line {number}: give one from 0 to {len(left) - 1}.")
        rest = left[number]
        if not min(rest, 0) <= minor <= max(rest, 0):
            raise UnprocessableError(
                f"Of line {number} {from_minor(rest, currency)} {currency} are left to give back: give up to that."
            )
    if sum(credited.values()) > max(all_left, 0):
        raise UnprocessableError(
            f"Of the invoice {from_minor(all_left, currency)} {currency} net are left to give back: give up to that, or"
            " give its lines below zero back, too."
        )


def _tax(
    invoice: DraftInvoice,
    rate: TaxSum,
    earlier: Sequence[CreditNote],
    credited: Mapping[int, int],
    left: Sequence[int],
) -> Decimal:
    currency = invoice.currency
    numbers = [number for number, line in enumerate(invoice.lines) if rate.name in line.taxes]
    rest = total((rate.amount,), currency, less=(note.taxes[rate.name] for note in earlier))
    if all(left[number] == credited.get(number, 0) for number in numbers):
        return rest
    base = from_minor(sum(credited.get(number, 0) for number in numbers), currency)
    tax = round_money(Fraction(base) * Fraction(rate.percent) / 100, currency)
    if rate.reverse_charge:
        return from_minor(0, currency)
    return min(max(tax, min(rest, Decimal(0))), max(rest, Decimal(0)))
