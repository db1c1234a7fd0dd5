"""The lines of an invoice: by subscription and period, each with how its amount comes about."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING

from msgspec import Struct

from tollkeeper.billing.models.per_unit import PerUnit
from tollkeeper.billing.price_rows import PriceRow
from tollkeeper.billing.statement import Statement
from tollkeeper.service.documents.formats import Formats
from tollkeeper.service.documents.page import Group, Row
from tollkeeper.service.documents.prices import TIMES, price_text, step_text, steps_of
from tollkeeper.service.documents.texts import clean, fill, isolated
from tollkeeper.service.documents.wording import Words

if TYPE_CHECKING:
    from collections.abc import Mapping
    from decimal import Decimal

    from tollkeeper.billing.charge import Charge
    from tollkeeper.billing.invoice import Line
    from tollkeeper.billing.statement import ChargedPart
    from tollkeeper.metering.meter import Meter

__all__ = ["Rows"]

NAMED = {
    "discount": "plan_discount",
    "prepaid": "prepaid",
    "maximum": "maximum",
}
UNNAMED = frozenset({"base_fee", "minimum"})


class Rated(Struct, frozen=True):
    """What was used at one row of a price, in millionths, and its exact cost."""

    row: PriceRow
    quantity: int
    cost: Fraction


class Rows(Struct, frozen=True):
    """Writes the lines of a statement."""

    statement: Statement
    formats: Formats
    words: Words

    def groups(self, amounts: Mapping[int, Decimal] | None = None) -> tuple[Group, ...]:
        """All lines, or those with other ``amounts`` by their number, without how they come about."""
        found: dict[int | None, list[Row]] = {}
        for number, (stated, line) in enumerate(zip(self.statement.charges, self.statement.invoice.lines, strict=True)):
            if amounts is None:
                found.setdefault(stated.part, []).append(self._row(stated.charge, line, stated.part))
            elif number in amounts:
                row = Row(name=self._name(line), amount=self.formats.amount(amounts[number]))
                found.setdefault(stated.part, []).append(row)
        return tuple(self._group(part, rows) for part, rows in found.items())

    def _group(self, number: int | None, rows: list[Row]) -> Group:
        if number is None:
            return Group(title=self.words.one_off, rows=tuple(rows))
        part = self.statement.parts[number]
        plan = clean(part.plan.name)
        title = self._fill(self.words.late, name=plan) if part.earlier else self._own(plan)
        period = f"{self._own(self.formats.days(part.start, part.end))} · {self.words.subscription} "
        return Group(title=title, period=period + self._own(part.subscription), rows=tuple(rows))

    def _row(self, charge: Charge, line: Line, number: int | None) -> Row:
        part = None if number is None else self.statement.parts[number]
        price, details = self._rating(charge, part)
        meter = None if part is None or charge.kind != "usage" else _meter(part, charge)
        if meter is not None:
            details = [self._counted(meter), *details]
        if charge.unpriced:
            details.append(self._fill(self.words.without_price, quantity=self.formats.quantity(charge.unpriced)))
        details += self._taxes(line)
        return Row(
            name=self._name(line),
            details=tuple(details),
            quantity="" if line.quantity is None else self.formats.quantity(line.quantity),
            price=price,
            amount=self.formats.amount(line.amount),
        )

    def _name(self, line: Line) -> str:
        if line.kind in UNNAMED:
            return str(getattr(self.words, line.kind))
        name = clean(line.name)
        return self._fill(getattr(self.words, NAMED[line.kind]), name=name) if line.kind in NAMED else self._own(name)

    def _rating(self, charge: Charge, part: ChargedPart | None) -> tuple[str, list[str]]:
        """What stands in the column of the unit price, and beneath the name."""
        if sum(one.quantity for one in charge.parts) != (charge.quantity or 0):
            return "", []  # the difference to an earlier invoice, whose tiers are those of the whole
        merged: dict[PriceRow, Rated] = {}
        for one in charge.parts:
            before = merged.get(one.row)
            quantity, cost = (0, Fraction(0)) if before is None else (before.quantity, before.cost)
            merged[one.row] = Rated(one.row, quantity + one.quantity, cost + one.cost)
        if len(merged) > 1:
            return "", [self._dated(rated, part) for rated in merged.values()]
        for rated in merged.values():
            steps = steps_of(rated.row.price, rated.quantity)
            if steps and len(charge.parts) == 1 and sum(step.cost for step in steps) == rated.cost:
                return "", [step_text(step, self.formats, self.words) for step in steps]
            price = price_text(rated.row.price, self.formats, self.words)
            return (price, []) if isinstance(rated.row.price, PerUnit) or not price else ("", [price])
        return "", []

    def _dated(self, rated: Rated, part: ChargedPart | None) -> str:
        """What was used while one of several rows was in force."""
        price = price_text(rated.row.price, self.formats, self.words)
        text = self._own(self.formats.quantity(rated.quantity))
        if price:
            text += f" {TIMES} {self._own(price)}" if isinstance(rated.row.price, PerUnit) else f" · {self._own(price)}"
        text += f" = {self._own(self.formats.cost(rated.cost))}"
        if part is None:
            return text
        start, end = max(rated.row.valid_from, part.start), min(rated.row.valid_to, part.end)
        return f"{self._own(self.formats.days(start, end))}: {text}" if start < end else text

    def _counted(self, meter: Meter) -> str:
        template = getattr(self.words, f"counted_{meter.aggregation}")
        percentile = "" if meter.percentile is None else self.formats.units(meter.percentile)
        return self._fill(template, field=clean(meter.field or ""), percentile=percentile)

    def _taxes(self, line: Line) -> list[str]:
        if len(line.taxes) == len(self.statement.terms.taxes):
            return []
        names = ", ".join(clean(name) for name in line.taxes)
        return [self._fill(self.words.taxes, names=names) if names else self.words.untaxed]

    def _own(self, text: str) -> str:
        return isolated(text, rtl=self.formats.rtl)

    def _fill(self, template: str, **values: str) -> str:
        return fill(template, rtl=self.formats.rtl, **values)


def _meter(part: ChargedPart, charge: Charge) -> Meter | None:
    return next(
        (used.meter for used in part.prices if used.meter is not None and charge.price in {used.price, used.name}),
        None,
    )
