"""Spread an amount over lines by weight, to the cent."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["spread"]


def spread(amount: int, weights: Sequence[int]) -> list[int]:
    """Spread minor units over weights, each share rounded half away from zero; the last takes the cent.

    ``amount`` is at most the sum of the weights, none of which is negative. No share is greater than its weight: where
    the last can't take all that rounding left, those before it do. What weighs nothing gets nothing.
    """
    weight = later = sum(weights)
    left, shares = amount, []
    for one in weights:
        later -= one
        share = (2 * amount * one + weight) // (2 * weight) if weight else 0
        shares.append(max(min(share, left), left - later))
        left -= shares[-1]
    return shares
