"""What the engine makes of a case of the oracle, in the figures of the oracle: definitions go in as JSON has them."""

from __future__ import annotations

import itertools
from decimal import Decimal
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import msgspec

from support.metered import metered
from tollkeeper.billing.charge import Charge, PricedUsage
from tollkeeper.billing.coupon import Coupon
from tollkeeper.billing.invoice import DraftInvoice, InvoiceTerms, draft_invoice
from tollkeeper.billing.metered_price import MeteredPrice
from tollkeeper.billing.money import from_minor, to_minor
from tollkeeper.billing.period import BillingPeriod
from tollkeeper.billing.period_charges import PeriodCharges, charge_period
from tollkeeper.billing.plan import Plan, check_plan
from tollkeeper.billing.price_rows import PriceRow, check_rows
from tollkeeper.billing.proration import period_share
from tollkeeper.billing.rate_card import rate_card
from tollkeeper.billing.statement import UsedPrice
from tollkeeper.billing.tax import TaxRate
from tollkeeper.billing.wallet import Wallet
from tollkeeper.events.event import Consumer, UsageEvent
from tollkeeper.metering.meter import Meter

if TYPE_CHECKING:
    from tollkeeper.metering.quantity import Quantity

__all__ = ["figures", "meter_of", "one_off_of", "sums_of", "terms_of"]

Case = dict[str, Any]
PATHS = {"tokens": "variables.tokens", "model": "variables.model", "user": "consumer.key", "status": "status_code"}


def event_of(number: int, raw: Case) -> UsageEvent:
    variables = {name: raw[name] for name in ("tokens", "model") if raw.get(name) is not None}
    numbers = {name: msgspec.Raw(str(value).encode()) for name, value in variables.items() if name == "tokens"}
    return UsageEvent(
        id=f"{number:06}",
        source="app",
        time=raw["at"],
        method="GET",
        path="/",
        status_code=raw["status"],
        consumer=Consumer(raw["user"]) if raw["user"] is not None else None,
        variables=msgspec.Raw(msgspec.json.encode(variables | numbers)),
    )


def meter_of(raw: Case, **others: str) -> Meter:
    """A meter of fields as the oracle names them; ``others`` stand elsewhere in an event."""
    paths = PATHS | others
    definition = dict(raw, name="meter")
    if "field" in raw:
        definition["field"] = paths[raw["field"]]
    definition["group_by"] = [paths[name] for name in raw.get("group_by", [])]
    definition["filters"] = [dict(one, field=paths[one["field"]]) for one in raw.get("filters", [])]
    return msgspec.convert(definition, Meter)


def summed(meter: Meter, events: list[UsageEvent], rows: tuple[PriceRow, ...]) -> tuple[tuple[Quantity, ...], ...]:
    """The quantities as invoices have them: of each row in force their sum, if that is enough to rate them."""
    price = MeteredPrice(UsedPrice(name="price", price="price", rows=rows), meter)
    for event in sorted(events, key=lambda one: one.time):
        price.take(event)
    return price.usage().groups


def usage_of(price: Case, *, in_sums: bool = False) -> PricedUsage:
    rows = check_rows(msgspec.convert(row, PriceRow) for row in price["rows"])
    events = list(itertools.starmap(event_of, enumerate(price["events"])))
    meter = meter_of(price["meter"])
    groups = summed(meter, events, rows) if in_sums else tuple(map(tuple, metered(meter, events).values()))
    return PricedUsage(
        name=price["name"],
        rows=rows,
        groups=groups,
        pay_as_you_go=price["pay_as_you_go"],
        maximum=Decimal(price["maximum"]) if "maximum" in price else None,
        taxes=tuple(price["taxes"]) if "taxes" in price else None,
    )


def period_charges(case: Case, *, in_sums: bool = False) -> PeriodCharges:
    plan = check_plan(
        Plan(
            id="pln",
            name="gold",
            kind=case["plan"]["kind"],
            amount=Decimal(case["plan"]["amount"]) if "amount" in case["plan"] else None,
            currency=case["currency"],
            body=case["card"],
            created_at=case["at"],
        )
    )
    card = rate_card(plan)
    share = period_share(BillingPeriod(*case["period"]), BillingPeriod(*case["part"]), card.prorate_by, case["zone"])
    # What is paid up front covers the first calls of all prices together: sums of a price don't tell which these are.
    in_sums = in_sums and plan.kind != "prepaid_volume"
    usage = [usage_of(price, in_sums=in_sums) for price in case["prices"]]
    return charge_period(plan, card, usage, currency=case["currency"], share=share)


def terms_of(case: Case, currency: str) -> InvoiceTerms:
    coupons = [
        Coupon(id=str(number), name=str(number), percent=Decimal(one["percent"]))
        if "percent" in one
        else Coupon(id=str(number), name=str(number), amount=from_minor(one["minor"], currency), currency=currency)
        for number, one in enumerate(case["coupons"])
    ]
    wallets = [
        Wallet(
            id=one["id"],
            currency=currency,
            balance=from_minor(one["minor"], currency),
            priority=one["priority"],
            expires_at=one["expires_at"],
            granted=one["granted"],
        )
        for one in case["wallets"]
    ]
    return InvoiceTerms(
        currency=currency,
        at=case["at"],
        coupons=tuple(coupons),
        taxes=tuple(msgspec.convert(one, TaxRate) for one in case["taxes"]),
        tax_inclusive=case["tax_inclusive"],
        wallets=tuple(wallets),
    )


def one_off_of(case: Case, currency: str) -> list[Charge]:
    amounts = [from_minor(minor, currency) for minor in case["one_off"]]
    return [Charge(kind="one_off", name="one_off", exact=Fraction(amount), amount=amount) for amount in amounts]


def figures(case: Case, *, in_sums: bool = False) -> Case:
    currency = case["currency"]
    found = period_charges(case, in_sums=in_sums)
    draft = draft_invoice([*found.charges, *one_off_of(case, currency)], terms_of(case, currency))
    charges = [(line.kind, line.name, to_minor(line.amount, currency)) for line in draft.lines]
    left = to_minor(found.discount_left, currency)
    return {"charges": charges, "discount_left": left} | sums_of(draft, currency)


def sums_of(draft: DraftInvoice, currency: str) -> Case:
    """All figures of an invoice but its charges."""

    def minor(amount: Decimal) -> int:
        return to_minor(amount, currency)

    return {
        "coupons": [(minor(use.amount), None if use.left is None else minor(use.left)) for use in draft.coupons],
        "remaining": [minor(line.amount) - minor(line.discount) for line in draft.lines],
        "taxes": [(one.name, minor(one.amount)) for one in draft.taxes],
        "net": minor(draft.net),
        "total": minor(draft.total),
        "draws": [(draw.wallet, minor(draw.amount)) for draw in draft.wallets],
        "due": minor(draft.due),
        "credit": minor(draft.credit),
    }
