"""What the kinds of plans take off pay as you go: per cent, an amount, and what is paid up front."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING

from msgspec.structs import replace

from tollkeeper.billing.charge import Charge, PricedUsage, reduction
from tollkeeper.billing.money import from_minor, round_money, to_minor
from tollkeeper.billing.spread import spread
from tollkeeper.metering.quantity import Quantity

if TYPE_CHECKING:
    from collections.abc import Sequence
    from decimal import Decimal

    from tollkeeper.billing.charge import ChargeKind

__all__ = ["after_prepaid_volume", "amount_off", "maximum_off", "percent_off"]

HUNDRED = 100


def after_prepaid_volume(usage: Sequence[PricedUsage], volume: int) -> list[PricedUsage]:
    """What is left to charge when the first ``volume`` millionths of the period, over all prices, are paid for.

    It needs each call by itself, up to the last that is paid for; those at the very same time count in the order of the
    prices. What was paid for takes no room in the tiers.
    """
    places = [
        (one.at, price, group, place)
        for price, used in enumerate(usage)
        if used.pay_as_you_go
        for group, entries in enumerate(used.groups)
        for place, one in enumerate(entries)
    ]
    charged = [[list(entries) for entries in used.groups] for used in usage]
    for at, price, group, place in sorted(places):
        if not volume:
            break
        amount = charged[price][group][place].amount
        covered = min(amount, volume)
        charged[price][group][place] = Quantity(at, amount - covered)
        volume -= covered
    return [
        replace(used, groups=tuple(tuple(one for one in entries if one.amount) for entries in charged[price]))
        if used.pay_as_you_go
        else used
        for price, used in enumerate(usage)
    ]


def percent_off(charge: Charge, percent: Decimal, currency: str) -> list[Charge]:
    """Take per cent off a charge as it stands on the invoice; no line for nothing."""
    off = to_minor(round_money(Fraction(charge.amount) * Fraction(percent) / HUNDRED, currency), currency)
    return [reduction(charge, "discount", charge.name, off, currency)] if off else []


def maximum_off(charge: Charge, remaining: Decimal, maximum: Decimal, currency: str) -> list[Charge]:
    """Take off what remains of a charge over the maximum of its price."""
    over = to_minor(remaining, currency) - to_minor(maximum, currency)
    return [reduction(charge, "maximum", charge.name, over, currency)] if over > 0 else []


def amount_off(
    charges: Sequence[tuple[Charge, Decimal]], amount: Fraction, kind: ChargeKind, currency: str
) -> tuple[list[Charge], Decimal]:
    """Take an amount off charges by the weight of what remains of each, never below zero; and what is left of it."""
    weights = [to_minor(remaining, currency) for _, remaining in charges]
    granted = to_minor(round_money(amount, currency), currency)
    used = min(granted, sum(weights))
    shares = spread(used, weights)
    lines = [
        reduction(charge, kind, charge.name, share, currency)
        for (charge, _), share in zip(charges, shares, strict=True)
        if share
    ]
    return lines, from_minor(granted - used, currency)
