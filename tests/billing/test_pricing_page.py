"""Each example of docs/pricing.md comes out as the page says."""

from __future__ import annotations

import tomllib
from datetime import UTC, datetime
from decimal import Decimal
from fractions import Fraction
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import msgspec
import pytest
from msgspec.structs import replace

from billing.month_engine import account_of, event_of
from docs.pages import ROOT, Block, blocks
from support.metered import metered
from tollkeeper.billing.charge import Charge, PricedUsage, fee_charge, usage_charge
from tollkeeper.billing.charging import Charging, billing_parts
from tollkeeper.billing.coupon import Coupon
from tollkeeper.billing.credit_note import CreditNote, credit_invoice
from tollkeeper.billing.invoice import DraftInvoice, InvoiceTerms, draft_invoice
from tollkeeper.billing.models.per_unit import PerUnit
from tollkeeper.billing.money import round_money
from tollkeeper.billing.period import BillingPeriod
from tollkeeper.billing.period_charges import charge_period
from tollkeeper.billing.plan import Plan, check_plan
from tollkeeper.billing.price_rows import PriceRow, check_rows
from tollkeeper.billing.proration import period_share
from tollkeeper.billing.rate_card import rate_card
from tollkeeper.billing.rating import rate
from tollkeeper.billing.rebill import difference
from tollkeeper.billing.tax import TaxRate
from tollkeeper.billing.wallet import Wallet
from tollkeeper.events.event import UsageEvent
from tollkeeper.events.timestamps import EPOCH
from tollkeeper.metering.meter import Meter
from tollkeeper.metering.quantity import Quantity

if TYPE_CHECKING:
    from tollkeeper.billing.statement import ChargedPart

Example = dict[str, Any]
AT = datetime(2026, 10, 5, 12, tzinfo=UTC)
CALL = {"key": "key", "api": "shop", "version": "v1", "endpoint": "/orders", "method": "GET", "status": 200}
CALL |= {"user": None, "tokens": None, "model": None}
EXAMPLES = [block for block in blocks(ROOT / "docs" / "pricing.md") if block.language == "toml"]


def micro(units: str) -> int:
    return int(Decimal(units) * 1_000_000)


def rows_of(example: Example) -> tuple[PriceRow, ...]:
    rows = example["rows"] if "rows" in example else [{"price": example["price"]}]
    return check_rows(msgspec.convert(row, PriceRow) for row in rows)


def used_of(used: list[Any]) -> tuple[Quantity, ...]:
    entries = [one if isinstance(one, dict) else {"units": one} for one in used]
    return tuple(Quantity(one.get("at", AT), micro(one["units"])) for one in entries)


def meter(example: Example) -> None:
    about = {"method": "GET", "path": "/", "status_code": 200, "time": AT.isoformat()}
    events = [msgspec.json.decode(msgspec.json.encode(about | event), type=UsageEvent) for event in example["events"]]
    found = metered(msgspec.convert(example["meter"], Meter), events)
    assert sum(one.amount for group in found.values() for one in group) == micro(example["value"])


def cost(example: Example) -> None:
    rating = rate(rows_of(example), used_of(example["used"]))
    assert rating.cost == Fraction(example["cost"])
    if "line" in example:
        amount, currency = example["line"].split()
        assert str(round_money(rating.cost, currency)) == amount


def calls(example: Example) -> None:
    plan = check_plan(Plan(id="pln", name="gold", currency="EUR", created_at=AT, **amounts(example["plan"])))
    usage = [
        PricedUsage(
            name=one["price"],
            rows=(PriceRow(price=PerUnit(unit_price=Decimal(one["unit_price"]))),),
            groups=(used_of([one]),),
            pay_as_you_go=True,
            maximum=Decimal(one["maximum"]) if "maximum" in one else None,
        )
        for one in example["calls"]
    ]
    share = Fraction(example.get("share", 1))
    found = charge_period(plan, rate_card(plan), usage, currency="EUR", share=share)
    assert [[charge.kind, str(charge.amount)] for charge in found.charges] == example["lines"]
    assert str(found.discount_left) == example.get("left", str(found.discount_left))


def share(example: Example) -> None:
    period, part = (BillingPeriod(*example[name]) for name in ("period", "part"))
    assert period_share(period, part, example["by"], example.get("time_zone", "UTC")) == Fraction(example["share"])


def rounded(example: Example) -> None:
    for exact, currency, expected in example["rounded"]:
        assert str(round_money(Decimal(exact), currency)) == expected


def due(example: Example) -> None:
    draft = drafted(example)
    figures = {
        "due": str(draft.due),
        "credit": str(draft.credit),
        "after": [str(line.amount - line.discount) for line in draft.lines],
        "net": [str(line.net) for line in draft.lines],
        "tax": [str(one.amount) for one in draft.taxes],
        "taken": [str(use.amount) for use in draft.coupons],
        "left": ["" if use.left is None else str(use.left) for use in draft.coupons],
        "drawn": [[draw.wallet, str(draw.amount)] for draw in draft.wallets],
    }
    shown = {name: value for name, value in example.items() if name in figures}
    assert {name: figures[name] for name in shown} == shown
    notes: list[CreditNote] = []
    for note in example.get("notes", []):
        given = {int(number): Decimal(amount) for number, amount in note["lines"].items()}
        notes.append(credit_invoice(draft, notes, given))
        assert str(notes[-1].total) == note["total"]


def drafted(example: Example) -> DraftInvoice:
    charges = [
        Charge(kind="one_off", name="line", exact=Fraction(amount), amount=Decimal(amount))
        for amount in example["lines"]
    ]
    coupons = [
        Coupon(id=str(number), name=str(number), currency="EUR" if "amount" in one else None, **amounts(one))
        for number, one in enumerate(example.get("coupons", []))
    ]
    terms = InvoiceTerms(
        currency="EUR",
        at=example.get("at", AT),
        coupons=tuple(coupons),
        taxes=tuple(msgspec.convert(one, TaxRate) for one in example.get("taxes", [])),
        tax_inclusive=example.get("tax_inclusive", False),
        wallets=tuple(msgspec.convert({"currency": "EUR"} | one, Wallet) for one in example.get("wallets", [])),
    )
    return draft_invoice(charges, terms)


def bills(example: Example) -> None:
    charged: list[Charge] = []
    for bill in example["bills"]:
        usage = PricedUsage(name="calls", rows=rows_of(example), groups=(used_of([bill["used"]]),))
        found = difference([usage_charge(usage, "EUR")], charged, "EUR")
        assert [str(one.amount) for one in found] == [bill["charged"]]
        charged += found


def fee(example: Example) -> None:
    amount, currency = example["fee"].split()
    share = Fraction(example["share_due"])
    found = fee_charge("platform", rows_of(example), at=AT, currency=currency, share=share)
    assert found
    assert str(found.amount) == amount


def amounts(table: Example) -> Example:
    return {name: Decimal(value) if name in {"amount", "percent"} else value for name, value in table.items()}


def invoices(example: Example) -> None:
    account = account_of(catalog_of(example))
    billed: list[ChargedPart] = []
    for invoice in example["invoices"]:
        year, month = map(int, invoice["month"].split("-"))
        start, end = (
            datetime(year + number // 12, number % 12 + 1, 1, tzinfo=ZoneInfo(example.get("time_zone", "UTC")))
            for number in (month - 1, month)
        )
        charging = Charging(account, [*billed, *billing_parts(account, start, end)])
        for number, one in enumerate(example.get("calls", [])):
            if one.get("known", "") <= invoice["month"]:
                charging.take(event_of(CALL | one | {"seq": number}))
        charged = charging.charged(0)
        assert [[one.charge.kind, str(one.charge.amount)] for one in charged.charges] == invoice["lines"]
        charges = {place: [one.charge for one in charged.charges if one.part == place] for place in range(99)}
        billed = [
            replace(part, before=(*part.before, *charges[place]), earlier=("earlier",))
            for place, part in enumerate(charged.parts)
        ]


def catalog_of(example: Example) -> Example:
    """The catalogue of an example: one customer, one route whose calls cost 0.01, and the plans."""
    sub = example["subscription"]
    card = {"fee": "0", "minimum": "0", "prorated": True, "prorate_by": "second"}
    plans = {
        one["name"]: {"kind": "pay_as_you_go", "currency": "EUR", "period": "month", "prices": []}
        | {name: value for name, value in one.items() if name not in card}
        | {"card": card | {name: value for name, value in one.items() if name in card}}
        for one in example["plans"]
    }
    orders = {"id": "orders", "api": "shop", "endpoint": "/orders", "method": None, "currency": "EUR"}
    changes = [(one["at"], one["plan"]) for one in sub.get("changes", [])]
    return {
        "at": AT,
        "zone": example.get("time_zone", "UTC"),
        "currency": None,
        "keys": ["key"],
        "plans": plans,
        "routes": [orders | {"prices": [{"from": EPOCH, "price": "0.01"}]}],
        "subscriptions": [
            {
                "id": "sub",
                "api": None,
                "started": sub["started"],
                "anchor": sub.get("trial_ends", sub["started"]),
                "ended": sub.get("ended"),
                "changes": [(sub["started"], example["plans"][0]["name"]), *changes],
                "pauses": [(one["from"], one["to"]) for one in sub.get("pauses", [])],
                "own": {},
            }
        ],
    }


KINDS = (invoices, meter, rounded, bills, calls, due, cost, fee, share)


@pytest.mark.parametrize("block", EXAMPLES, ids=str)
def test_an_example_comes_out_as_the_page_says(block: Block) -> None:
    example = tomllib.loads(block.text)
    kind = next(kind for kind in KINDS if kind.__name__ in example)
    kind(example)


def test_the_page_has_an_example_of_each_model_and_kind() -> None:
    text = "".join(block.text for block in EXAMPLES)
    models = (
        "per_unit",
        "graduated",
        "volume",
        "package",
        "percentage",
        "graduated_percentage",
        "included",
        "flat_fee",
    )
    assert [name for name in models if f'model = "{name}"' not in text] == []
    examples = [tomllib.loads(block.text) for block in EXAMPLES]
    assert [kind.__name__ for kind in KINDS if not any(kind.__name__ in example for example in examples)] == []
