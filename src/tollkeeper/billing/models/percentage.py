"""Percentage: a share of each event's amount, with a fixed fee an event, and events or amounts that are free."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction
from typing import TYPE_CHECKING, Annotated, NamedTuple

from msgspec import Meta, Struct

from tollkeeper.billing.models.used import MICRO
from tollkeeper.billing.price import check_amount
from tollkeeper.errors import UnprocessableError

if TYPE_CHECKING:
    from tollkeeper.billing.models.used import Used

__all__ = ["Percentage", "check_rate", "percentage"]

HUNDRED = 100
MAX_RATE = 1000
# A price has up to 12 decimals, so in trillionths all is whole: events are many, and fractions are slow.
WHOLE = 10**12


class Percentage(
    Struct,
    frozen=True,
    kw_only=True,
    forbid_unknown_fields=True,
    omit_defaults=True,
    tag_field="model",
    tag="percentage",
):
    """``rate`` per cent of an event's amount and ``fixed_fee``, together from ``minimum`` to ``maximum``.

    The first ``free_events`` of a period are free, and its first ``free_amount``: both end as soon as one has run out.
    """

    rate: Decimal
    fixed_fee: Decimal = Decimal(0)
    free_events: Annotated[int, Meta(ge=0)] | None = None
    free_amount: Decimal | None = None
    minimum: Decimal | None = None
    maximum: Decimal | None = None

    def __post_init__(self) -> None:
        check_rate(self.rate)
        for name in ("fixed_fee", "free_amount", "minimum", "maximum"):
            value = getattr(self, name)
            if value is not None:
                check_amount(name, value)
        if self.minimum is not None and self.maximum is not None and self.minimum > self.maximum:
            raise UnprocessableError(f"minimum is {self.minimum}: give up to {self.maximum}, the maximum.")


def check_rate(rate: Decimal) -> Decimal:
    """Refuse what is no rate in per cent; raises UnprocessableError."""
    if check_amount("rate", rate) > MAX_RATE:
        raise UnprocessableError(f"rate is {rate} per cent: give up to {MAX_RATE}.")
    return rate


def percentage(price: Percentage, used: Used) -> Fraction:
    """Charge event by event; what is free counts from the first event of the period on."""
    terms, cost, before = _terms(price), 0, used.before * WHOLE // MICRO
    for number, amount in enumerate(used.amounts, used.events_before):
        after = before + amount * WHOLE // MICRO
        cost += _event(terms, number, before, after)
        before = after
    return Fraction(cost, WHOLE * WHOLE * HUNDRED)


class _Terms(NamedTuple):
    """A price in whole numbers: the rate and the free amount in trillionths, what costs in trillionths of those."""

    rate: int
    fixed_fee: int
    minimum: int
    maximum: int | None
    free_events: int | None
    free_amount: int | None


def _terms(price: Percentage) -> _Terms:
    def trillionths(amount: Decimal) -> int:
        return int(Fraction(amount) * WHOLE)

    return _Terms(
        rate=trillionths(price.rate),
        fixed_fee=trillionths(price.fixed_fee) * WHOLE * HUNDRED,
        minimum=trillionths(price.minimum or Decimal(0)) * WHOLE * HUNDRED,
        maximum=None if price.maximum is None else trillionths(price.maximum) * WHOLE * HUNDRED,
        free_events=price.free_events,
        free_amount=None if price.free_amount is None else trillionths(price.free_amount),
    )


def _event(terms: _Terms, number: int, before: int, after: int) -> int:
    """What an event costs that takes the amount of the period on; ``number`` events came before it."""
    charged = after - before
    if _is_free(terms, number, before):
        if terms.free_amount is None or after <= terms.free_amount:
            return 0
        charged = after - terms.free_amount
    cost = max(charged * terms.rate + terms.fixed_fee, terms.minimum)
    return cost if terms.maximum is None else min(cost, terms.maximum)


def _is_free(terms: _Terms, number: int, before: int) -> bool:
    """Whether something is free still when an event comes."""
    if terms.free_events is None and terms.free_amount is None:
        return False
    if terms.free_events is not None and number >= terms.free_events:
        return False
    return terms.free_amount is None or before < terms.free_amount
