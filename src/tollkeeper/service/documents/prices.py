"""How a price makes a cost of a quantity, tier by tier, as the lines beneath a line say it."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction
from typing import TYPE_CHECKING

from msgspec import Struct

from tollkeeper.billing.models.graduated import Graduated
from tollkeeper.billing.models.graduated_percentage import GraduatedPercentage
from tollkeeper.billing.models.included import Included
from tollkeeper.billing.models.package import Package
from tollkeeper.billing.models.per_unit import PerUnit
from tollkeeper.billing.models.percentage import Percentage
from tollkeeper.billing.models.volume import Volume
from tollkeeper.service.documents.texts import fill, isolated

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tollkeeper.billing.price_rows import PriceModel
    from tollkeeper.service.documents.formats import Formats
    from tollkeeper.service.documents.wording import Words

__all__ = ["TIMES", "Step", "price_text", "step_text", "steps_of"]

MICRO = 1_000_000
HUNDRED = 100
TIMES = "\u00d7"


class Step(Struct, frozen=True, kw_only=True):
    """So many millionths at one price, ``above`` an edge ``up_to`` another; a ``rate`` is in per cent of the amount."""

    quantity: int
    above: Decimal | None = None
    up_to: Decimal | None = None
    price: Decimal | None = None
    rate: Decimal | None = None
    flat: Decimal = Decimal(0)

    @property
    def cost(self) -> Fraction:
        """What it comes to, exact."""
        unit = Fraction(self.price or 0) + Fraction(self.rate or 0) / HUNDRED
        return Fraction(self.quantity, MICRO) * unit + Fraction(self.flat)


def steps_of(price: PriceModel, quantity: int) -> list[Step]:
    """The tiers that a whole period's quantity in millionths fills; none for a price that has no tiers."""
    if isinstance(price, Graduated):
        return _filled([(tier.up_to, tier.unit_price, tier.flat_fee) for tier in price.tiers], quantity)
    if isinstance(price, GraduatedPercentage):
        tiers = [(tier.up_to, tier.rate, tier.flat_fee) for tier in price.tiers]
        return _filled(tiers, quantity, rates=True)
    if isinstance(price, Included):
        return _filled([(price.included_units, Decimal(0), Decimal(0)), (None, price.unit_price, Decimal(0))], quantity)
    return [_volume_step(price, quantity)] if isinstance(price, Volume) and quantity else []


def step_text(step: Step, formats: Formats, words: Words) -> str:
    """One tier as a line: where it is, and what it comes to."""
    rtl = formats.rtl
    if not step.cost:
        return fill(words.free, rtl=rtl, quantity=formats.quantity(step.quantity))
    factor = formats.percent(step.rate) if step.rate is not None else formats.price(step.price or Decimal(0))
    parts = f"{isolated(formats.quantity(step.quantity), rtl=rtl)} {TIMES} {isolated(factor, rtl=rtl)}"
    if step.flat:
        parts += f" + {fill(words.fixed, rtl=rtl, price=formats.price(step.flat))}"
    text = f"{parts} = {isolated(formats.cost(step.cost), rtl=rtl)}"
    place = _place(step, formats, words)
    return f"{place}: {text}" if place else text


def price_text(price: PriceModel, formats: Formats, words: Words) -> str:
    """A price that has no tiers in a few words; nothing for one that has."""
    rtl = formats.rtl
    if isinstance(price, PerUnit):
        return formats.price(price.unit_price)
    if isinstance(price, Package):
        found = fill(
            words.package, rtl=rtl, price=formats.price(price.package_price), quantity=formats.units(price.size)
        )
        if price.free_units:
            found += f" · {fill(words.free, rtl=rtl, quantity=formats.units(price.free_units))}"
        return found
    if isinstance(price, Percentage):
        found = fill(words.of_amount, rtl=rtl, rate=formats.percent(price.rate))
        return f"{found} + {isolated(formats.price(price.fixed_fee), rtl=rtl)}" if price.fixed_fee else found
    return ""


def _place(step: Step, formats: Formats, words: Words) -> str:
    rtl = formats.rtl
    above = None if not step.above else formats.units(step.above)
    up_to = None if step.up_to is None else formats.units(step.up_to)
    if above is not None and up_to is not None:
        return fill(words.tier_between, rtl=rtl, above=above, to=up_to)
    if up_to is not None:
        return fill(words.tier_first, rtl=rtl, to=up_to)
    return fill(words.tier_over, rtl=rtl, above=above) if above is not None else ""


def _volume_step(price: Volume, quantity: int) -> Step:
    edges = [None, *(tier.up_to for tier in price.tiers)]
    place = next(place for place, up_to in enumerate(edges[1:]) if up_to is None or quantity <= Fraction(up_to) * MICRO)
    tier = price.tiers[place]
    return Step(quantity=quantity, above=edges[place], up_to=tier.up_to, price=tier.unit_price, flat=tier.flat_fee)


def _filled(
    tiers: Sequence[tuple[Decimal | None, Decimal, Decimal]], quantity: int, *, rates: bool = False
) -> list[Step]:
    steps, above = [], Decimal(0)
    for up_to, price, flat in tiers:
        top = quantity if up_to is None else min(quantity, int(Fraction(up_to) * MICRO))
        amount = top - int(Fraction(above) * MICRO)
        if amount <= 0:
            break
        unit = {"rate": price} if rates else {"price": price}
        steps.append(Step(quantity=amount, above=above, up_to=up_to, flat=flat, **unit))
        above = up_to or above
    return steps
