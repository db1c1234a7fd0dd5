"""Taxes: after discounts, by rate on the sum of its lines, rounded once a rate, as EN 16931 asks."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction
from typing import TYPE_CHECKING, TypeVar

from msgspec import Struct

from tollkeeper.billing.models.percentage import check_rate
from tollkeeper.billing.money import from_minor, round_money, total

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["TaxRate", "TaxSum", "TaxableLine", "Taxed", "tax_lines"]

HUNDRED = 100
Amount = TypeVar("Amount", Decimal, Fraction)


class TaxRate(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """A tax of ``percent``; under ``reverse_charge`` the customer owes it to the state, and pays us without it."""

    name: str
    percent: Decimal
    reverse_charge: bool = False

    def __post_init__(self) -> None:
        check_rate(self.percent)


class TaxableLine(Struct, frozen=True):
    """What remains of a line after discounts, and the names of its taxes; None: all there are."""

    amount: Decimal
    taxes: tuple[str, ...] | None = None


class TaxSum(Struct, frozen=True, kw_only=True):
    """What a rate comes to: ``base`` is the net that it is on, ``amount`` is what is paid of it to us."""

    name: str
    percent: Decimal
    reverse_charge: bool
    base: Decimal
    amount: Decimal


class Taxed(Struct, frozen=True):
    """The net of each line, and the sums by rate."""

    nets: tuple[Decimal, ...]
    sums: tuple[TaxSum, ...]


def tax_lines(lines: Sequence[TaxableLine], rates: Sequence[TaxRate], currency: str, *, inclusive: bool) -> Taxed:
    """Tax lines. The rates on a line add and none is on another.

    Where prices are inclusive, the net is taken first, exact, and the taxes of it: what a customer pays stays what the
    prices say, and the nets of the lines add up to what the taxes leave. Under reverse charge, only the net is paid.
    """
    applied = [[rate for rate in rates if line.taxes is None or rate.name in line.taxes] for line in lines]
    exact = [
        Fraction(line.amount) / (1 + _share(on_line) if inclusive else 1)
        for line, on_line in zip(lines, applied, strict=True)
    ]
    taxes = [round_money(sum(_of_rate(rate, applied, exact), Fraction(0)) * _share([rate]), currency) for rate in rates]
    nets = [line.amount for line in lines]
    if inclusive:
        nets = _rounded_nets(exact, [bool(one) for one in applied], total(nets, currency, less=taxes), currency)
    sums = [
        TaxSum(
            name=rate.name,
            percent=rate.percent,
            reverse_charge=rate.reverse_charge,
            base=total(_of_rate(rate, applied, nets), currency),
            amount=from_minor(0, currency) if rate.reverse_charge else tax,
        )
        for rate, tax in zip(rates, taxes, strict=True)
    ]
    return Taxed(tuple(nets), tuple(sums))


def _of_rate(rate: TaxRate, applied: Sequence[Sequence[TaxRate]], amounts: Sequence[Amount]) -> list[Amount]:
    """The amounts of the lines that a rate is on."""
    return [amount for amount, on_line in zip(amounts, applied, strict=True) if rate in on_line]


def _share(rates: Sequence[TaxRate]) -> Fraction:
    return sum((Fraction(rate.percent) for rate in rates), Fraction(0)) / HUNDRED


def _rounded_nets(exact: Sequence[Fraction], taxed: Sequence[bool], net: Decimal, currency: str) -> list[Decimal]:
    """Round nets so that they add up to ``net``: what rounding leaves passes on from line to line to the last taxed."""
    left, found = Fraction(0), list[Decimal]()
    for one, is_taxed in zip(exact, taxed, strict=True):
        found.append(round_money(one + left if is_taxed else one, currency))
        left += one - Fraction(found[-1])
    last = max((place for place, is_taxed in enumerate(taxed) if is_taxed), default=None)
    if last is not None:
        found[last] = total([net], currency, less=[*found[:last], *found[last + 1 :]])
    return found
