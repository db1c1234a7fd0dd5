"""What the engine makes of a case of months, by way of a catalogue, events and statements, in the oracle's figures."""

from __future__ import annotations

from decimal import Decimal
from typing import Any, NamedTuple

import msgspec
from msgspec.structs import replace

from billing.engine import meter_of, one_off_of, sums_of, terms_of
from billing.stating import state_invoice
from tollkeeper.billing.charging import Charged, Charging, CustomerAccount, billing_parts
from tollkeeper.billing.customer import ApiKey, Customer
from tollkeeper.billing.money import to_minor
from tollkeeper.billing.party import Party
from tollkeeper.billing.plan import Plan, check_plan
from tollkeeper.billing.price_rows import PriceRow
from tollkeeper.billing.product import Api, ApiRoute, ApiVersion, RoutePrice
from tollkeeper.billing.resolve import Facts
from tollkeeper.billing.statement import ChargedPart, Statement
from tollkeeper.billing.subscription import Subscription, SubscriptionPause
from tollkeeper.billing.terms import PlanChange
from tollkeeper.events.event import Consumer, UsageEvent

__all__ = ["Numbered", "account_of", "event_of", "invoices_of", "statement_figures"]

Case = dict[str, Any]


class Numbered(NamedTuple):
    """An event with its place in a store."""

    seq: int
    event: UsageEvent


def event_of(raw: Case) -> UsageEvent:
    numbers = {} if raw["tokens"] is None else {"tokens": msgspec.Raw(raw["tokens"].encode())}
    texts = {} if raw["model"] is None else {"model": raw["model"]}
    return UsageEvent(
        id=str(raw["seq"]),
        source="app",
        time=raw["at"],
        method=raw["method"],
        path=raw["endpoint"],
        route=raw["endpoint"],
        status_code=raw["status"],
        api=raw["api"],
        api_version=raw["version"],
        units=Decimal(raw["units"]),
        consumer=Consumer(raw["key"], group=raw["user"]),
        variables=msgspec.Raw(msgspec.json.encode(texts | numbers)),
    )


def plan_of(name: str, raw: Case, at: Any) -> Plan:
    prices = [
        {key: value for key, value in price.items() if key != "meter"}
        | ({"meter": price["name"]} if "meter" in price else {})
        for price in raw["prices"]
    ]
    amount = Decimal(raw["amount"]) if "amount" in raw else None
    return check_plan(
        Plan(
            id=name,
            name=name,
            kind=raw["kind"],
            amount=amount,
            currency=raw["currency"],
            period=raw["period"],
            body=msgspec.json.decode(msgspec.json.encode(raw["card"] | {"prices": prices})),
            created_at=at,
        )
    )


def account_of(case: Case) -> CustomerAccount:
    at = case["at"]
    raws = case["subscriptions"]
    plans, apis = case["plans"], ("shop", "maps")
    facts = Facts(
        apis=[Api(id=name, name=name, created_at=at) for name in apis],
        versions=[ApiVersion(id=f"{name} v1", api=name, name="v1", created_at=at) for name in apis],
        routes=[
            ApiRoute(
                id=one["id"],
                version=f"{one['api']} v1",
                endpoint=one["endpoint"],
                method=one["method"],
                created_at=at,
            )
            for one in case["routes"]
        ],
        prices=[
            RoutePrice(
                id=f"{one['id']} {number}",
                route=one["id"],
                price=Decimal(price["price"]),
                currency=one["currency"],
                valid_from=price["from"],
                created_at=at,
            )
            for one in case["routes"]
            for number, price in enumerate(one["prices"])
        ],
        plans=[plan_of(name, raw, at) for name, raw in plans.items()],
        keys=[
            ApiKey(id=key, customer="cus", prefix="", digest=b"", fingerprint=key, created_at=at)
            for key in case["keys"]
        ],
        customers=[Customer(id="cus", name="Acme", currency=case["currency"], time_zone=case["zone"], created_at=at)],
        subscriptions=[
            Subscription(
                id=raw["id"],
                customer="cus",
                api=raw["api"],
                started_at=raw["started"],
                trial_ends_at=raw["anchor"] if raw["anchor"] > raw["started"] else None,
                anchor=raw["anchor"],
                ended_at=raw["ended"],
                created_at=at,
            )
            for raw in raws
        ],
        pauses=[
            SubscriptionPause(id=raw["id"], subscription=raw["id"], paused_at=start, resumed_at=end)
            for raw in raws
            for start, end in raw["pauses"]
        ],
        changes=[
            PlanChange(id=f"{number}", subscription=raw["id"], plan=name, effective_at=begin, created_at=at)
            for raw in raws
            for number, (begin, name) in enumerate(raw["changes"])
        ],
    )
    return CustomerAccount(
        facts=facts,
        meters={
            price["name"]: meter_of(price["meter"], user="consumer.group")
            for plan in plans.values()
            for price in plan["prices"]
            if "meter" in price
        },
        own_prices={
            raw["id"]: {
                name: tuple(msgspec.convert(row, PriceRow) for row in rows) for name, rows in raw["own"].items()
            }
            for raw in raws
        },
    )


def invoices_of(case: Case) -> list[tuple[Charged, Statement | None]]:
    """Bill the months one after the other; each bills again, by what is known then, what those before it billed."""
    account, found = account_of(case), list[tuple[Charged, Statement | None]]()
    billed: list[ChargedPart] = []
    for number, (start, end) in enumerate(case["months"]):
        events = sorted(
            (one for one in case["events"] if one["known"] <= number), key=lambda one: (one["at"], one["seq"])
        )
        charging = Charging(account, [*billed, *billing_parts(account, start, end)])
        for event in events:
            charging.take(event_of(event))
        charged = charging.charged(max((event["seq"] for event in events), default=0))
        terms = terms_of(case, case["invoiced"])
        items = one_off_of(case, case["invoiced"])
        statement = state_invoice(charged, items, terms, Party(name="We"), Party(name="Acme"))
        found.append((charged, statement))
        billed = [
            replace(
                part,
                before=(*part.before, *(one.charge for one in charged.charges if one.part == place)),
                earlier=("inv",),
            )
            for place, part in enumerate(charged.parts)
            if part.currency == case["invoiced"]
        ]
    return found


def statement_figures(statement: Statement) -> Case:
    """The figures of an invoice, without the lines of what is free."""
    currency = statement.invoice.currency
    figures = sums_of(statement.invoice, currency)
    lines = [(line.kind, line.price or line.name, to_minor(line.amount, currency)) for line in statement.invoice.lines]
    remaining = [one for one, (_, _, minor) in zip(figures["remaining"], lines, strict=True) if minor]
    return figures | {"charges": [line for line in lines if line[2]], "remaining": remaining}
