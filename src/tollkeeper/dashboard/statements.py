"""An invoice as its page shows it: lines by billing period and plan, each with how it comes about."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING

from msgspec import Struct

from tollkeeper.billing.invoice import Line
from tollkeeper.billing.models.per_unit import PerUnit
from tollkeeper.billing.money import total
from tollkeeper.billing.product import Api
from tollkeeper.billing.subscription import Subscription
from tollkeeper.dashboard.formats import FILTERS
from tollkeeper.dashboard.prices import price_words, step_words
from tollkeeper.service.documents.prices import steps_of
from tollkeeper.store.selling import CustomerWallet

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tollkeeper.billing.charge import Charge
    from tollkeeper.billing.statement import Statement
    from tollkeeper.store.invoices import Invoice
    from tollkeeper.store.protocols import Records

__all__ = ["ShownLine", "ShownPart", "Sum", "show_parts", "show_sums"]

MICRO = Decimal(1_000_000)
TITLES = {
    "base_fee": "Fee of the plan",
    "minimum": "Up to the minimum of the plan",
    "discount": "Discount of the plan: {}",
    "prepaid": "Paid up front: {}",
    "maximum": "Above the maximum: {}",
}
"""What a kind of charge is called; the others are called by their names."""
DUE = {"paid": "Paid", "void": "Was due"}

units = FILTERS["units"]


class ShownLine(Struct, frozen=True, kw_only=True):
    """A line with its number, from 1; ``details`` say how what was used is priced, ``opens`` that it charges events."""

    n: int
    title: str
    line: Line
    quantity: Decimal | None
    details: list[str]
    opens: bool


class ShownPart(Struct, frozen=True, kw_only=True):
    """The lines of a part, or (without a plan) those that are of none; ``earlier`` are the invoices it corrects."""

    plan: str | None
    api: str | None
    start: datetime | None
    end: datetime | None
    earlier: tuple[str, ...]
    lines: list[ShownLine]


class Sum(Struct, frozen=True):
    """A line below the lines; ``kind`` is plain, less, total or due."""

    name: str
    amount: Decimal
    kind: str = "plain"


def show_parts(records: Records, statement: Statement) -> list[ShownPart]:
    """The lines of an invoice in their order, by part; parts without a line are left out."""
    names = _api_names(records, statement)
    found: list[ShownPart] = []
    last: int | None = -1
    pairs = zip(statement.invoice.lines, statement.charges, strict=True)
    for n, (line, stated) in enumerate(pairs, 1):
        if stated.part != last:
            last = stated.part
            found.append(_part(statement, last, names))
        late = bool(found[-1].earlier)
        found[-1].lines.append(_line(n, line, stated.charge, statement.invoice.currency, late=late))
    return found


def show_sums(records: Records, invoice: Invoice, statement: Statement) -> list[Sum]:
    """What stands below the lines: subtotal, coupons, taxes, total, wallets, and what is left to pay."""
    drawn = statement.invoice
    coupons = {coupon.id: coupon.name for coupon in statement.terms.coupons}
    wallets = {one.id: one.name for one in records.find(CustomerWallet, id=[one.wallet for one in drawn.wallets])}
    found = [Sum("Subtotal", drawn.subtotal)] if drawn.discount or drawn.taxes else []
    found += [Sum(f"Coupon {coupons[use.coupon]}", use.amount, "less") for use in drawn.coupons if use.amount]
    if drawn.taxes:
        found.append(Sum("Net", drawn.net))
        found += [
            Sum(f"{tax.name} {units(tax.percent)}%{', reverse charge' if tax.reverse_charge else ''}", tax.amount)
            for tax in drawn.taxes
        ]
    found.append(Sum("Total", drawn.total, "total"))
    found += [Sum(f"From {wallets.get(draw.wallet, 'a wallet')}", draw.amount, "less") for draw in drawn.wallets]
    if credited := total((drawn.due,), drawn.currency, less=(invoice.due,)):
        found.append(Sum("Credit notes", credited, "less"))
    if invoice.credit:
        return [*found, Sum("Credit for later invoices", invoice.credit, "due")]
    return [*found, Sum(DUE.get(invoice.state, "Due"), invoice.due, "due")]


def _api_names(records: Records, statement: Statement) -> dict[str, str | None]:
    """The API of each subscription of the parts, by the name it has now; None is every API."""
    ids = sorted({part.subscription for part in statement.parts})
    subscriptions = records.find(Subscription, id=ids)
    apis = {api.id: api.name for api in records.find(Api, id=sorted({one.api for one in subscriptions if one.api}))}
    return {one.id: apis.get(one.api or "") for one in subscriptions}


def _part(statement: Statement, place: int | None, apis: Mapping[str, str | None]) -> ShownPart:
    if place is None:
        return ShownPart(plan=None, api=None, start=None, end=None, earlier=(), lines=[])
    part = statement.parts[place]
    return ShownPart(
        plan=part.plan.name,
        api=apis.get(part.subscription),
        start=part.start,
        end=part.end,
        earlier=part.earlier,
        lines=[],
    )


def _line(n: int, line: Line, charge: Charge, currency: str, *, late: bool) -> ShownLine:
    return ShownLine(
        n=n,
        title=TITLES[line.kind].format(line.name) if line.kind in TITLES else line.name,
        line=line,
        quantity=None if line.quantity is None else line.quantity / MICRO,
        details=[] if late else _details(charge, currency),
        opens=line.kind == "usage",
    )


def _details(charge: Charge, currency: str) -> list[str]:
    """How much was used at each price: tier by tier, where it was one price and one group alone."""
    if len(charge.parts) == 1:
        (only,) = charge.parts
        steps = steps_of(only.row.price, only.quantity)
        if steps and sum(step.cost for step in steps) == only.cost:
            return [step_words(step, currency) for step in steps]
    used: dict[str, int] = {}
    for part in charge.parts:
        sentence = price_words(part.row.price, currency).sentence
        said = f" at {sentence}" if isinstance(part.row.price, PerUnit) else f": {sentence[0].lower()}{sentence[1:]}"
        used[said] = used.get(said, 0) + part.quantity
    priced = [f"{_quantity(quantity)}{said}" for said, quantity in used.items()]
    return [*priced, *([f"{_quantity(charge.unpriced)}: no price"] if charge.unpriced else [])]


def _quantity(millionths: int) -> str:
    return units(Decimal(millionths) / MICRO)
