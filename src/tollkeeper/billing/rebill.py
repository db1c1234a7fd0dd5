"""Several bills in one period: all of it is rated again, and what differs from what was charged is charged."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING

from msgspec.structs import replace

from tollkeeper.billing.money import total

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tollkeeper.billing.charge import Charge

__all__ = ["difference"]


def difference(rated: Sequence[Charge], charged: Sequence[Charge], currency: str) -> list[Charge]:
    """What ``rated``, the whole period as it is now, comes to beyond what earlier bills of the period ``charged``.

    Line by line, those below zero included: what isn't owed any longer comes off. Lines that agree are left out. A
    price that has another name since is the same price.
    """
    groups: dict[object, tuple[list[Charge], list[Charge]]] = {}
    for side, charges in enumerate((rated, charged)):
        for charge in charges:
            key = (charge.kind, charge.price or charge.name, charge.taxes)
            groups.setdefault(key, ([], []))[side].append(charge)
    found = (_difference(now, before, currency) for now, before in groups.values())
    return [charge for charge in found if charge.amount or charge.quantity]


def _difference(now: Sequence[Charge], before: Sequence[Charge], currency: str) -> Charge:
    sample = [*now, *before][0]
    quantity = sum(one.quantity or 0 for one in now) - sum(one.quantity or 0 for one in before)
    exact = sum((one.exact for one in now), Fraction(0)) - sum((one.exact for one in before), Fraction(0))
    return replace(
        sample,
        exact=exact,
        amount=total((one.amount for one in now), currency, less=(one.amount for one in before)),
        quantity=None if sample.quantity is None else quantity,
        parts=(),
    )
