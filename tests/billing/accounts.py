"""A customer with a subscription, and their calls: what tests of charging begin with."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from tollkeeper.billing.charging import Charged, Charging, CustomerAccount, billing_parts
from tollkeeper.billing.customer import ApiKey, Customer
from tollkeeper.billing.models.per_unit import PerUnit
from tollkeeper.billing.plan import Plan
from tollkeeper.billing.price_rows import PriceRow
from tollkeeper.billing.product import Api, ApiRoute, ApiVersion, RoutePrice
from tollkeeper.billing.resolve import Facts
from tollkeeper.billing.subscription import Subscription, SubscriptionPause
from tollkeeper.billing.terms import PlanChange
from tollkeeper.events.event import Consumer, UsageEvent
from tollkeeper.events.timestamps import EPOCH

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tollkeeper.billing.statement import ChargedPart

START = datetime(2026, 10, 1, tzinfo=UTC)
DAY = timedelta(days=1)
END = START + 31 * DAY


class Numbered(NamedTuple):
    """An event with its place in a store."""

    seq: int
    event: UsageEvent


def plan(name: str = "gold", amount: str | None = None, currency: str | None = "EUR", **values: Any) -> Plan:
    exact = None if amount is None else Decimal(amount)
    return Plan(id=name, name=name, amount=exact, currency=currency, created_at=START, **values)


def account(
    *plans: Plan,
    changes: Sequence[tuple[float, str]] = (),
    pauses: Sequence[tuple[float, float | None]] = (),
    routes: Sequence[tuple[str | None, str | None]] = (("/orders", "GET"), ("/search", None), (None, None)),
    prices: Sequence[tuple[int, str, str, float | None]] = ((0, "0.01", "EUR", None), (1, "0.02", "EUR", None)),
    versions: int = 1,
    customer: dict[str, Any] | None = None,
    subscription: dict[str, Any] | None = None,
    **others: Any,
) -> CustomerAccount:
    """One customer with one subscription to everything; times are days after ``START``, routes of prices places."""
    begun = plans or (plan(),)
    dated = [(0.0, begun[0].name), *changes]
    about = {"started_at": START, "anchor": START} | (subscription or {})
    known = [
        ApiRoute(id=f"rte_{place}", version="ver_1", endpoint=endpoint, method=method, created_at=START)
        for place, (endpoint, method) in enumerate(routes)
    ]
    facts = Facts(
        apis=[Api(id="api", name="shop", created_at=START)],
        versions=[ApiVersion(id=f"ver_{n}", api="api", name=f"v{n}", created_at=START) for n in range(1, versions + 1)],
        routes=known,
        prices=[
            RoutePrice(
                id=f"prc_{number}",
                route=f"rte_{place}",
                price=Decimal(price),
                currency=currency,
                valid_from=EPOCH if day is None else at(day),
                created_at=START,
            )
            for number, (place, price, currency, day) in enumerate(prices)
        ],
        plans=list(begun),
        keys=[ApiKey(id=key, customer="cus", prefix="", digest=b"", fingerprint=key, created_at=START) for key in "kl"],
        customers=[Customer(id="cus", name="Acme", created_at=START, **(customer or {}))],
        subscriptions=[Subscription(id="sub", customer="cus", created_at=START, **about)],
        pauses=[
            SubscriptionPause(
                id="pau", subscription="sub", paused_at=at(begin), resumed_at=None if end is None else at(end)
            )
            for begin, end in pauses
        ],
        changes=[
            PlanChange(
                id=f"chg_{number}",
                subscription="sub",
                plan=name,
                effective_at=at(day) if day else about["started_at"],
                created_at=START,
            )
            for number, (day, name) in enumerate(dated)
        ],
    )
    return CustomerAccount(facts=facts, **others)


def at(day: float) -> datetime:
    return START + day * DAY


def call(day: float, route: str | None = "/orders", variables: str = "{}", **values: Any) -> UsageEvent:
    about: dict[str, Any] = {"consumer": Consumer("k"), "api": "shop", "method": "GET", "status_code": 200} | values
    return UsageEvent(
        id=f"{day}",
        source="app",
        time=at(day),
        path=route or "/",
        route=route,
        variables=msgspec.Raw(variables.encode()),
        **about,
    )


def charge_month(
    about: CustomerAccount, *events: UsageEvent, parts: Sequence[ChargedPart] | None = None, until: int = 100
) -> Charged:
    """Charge October, or the parts that are given."""
    charging = Charging(about, billing_parts(about, START, END) if parts is None else parts)
    for event in events:
        charging.take(event)
    return charging.charged(until)


def per_unit(price: str, begin: float | None = None, end: float | None = None) -> PriceRow:
    bounds = {"valid_from": begin, "valid_to": end}
    given = {name: at(day) for name, day in bounds.items() if day is not None}
    return PriceRow(price=PerUnit(unit_price=Decimal(price)), **given)


def lines(charged: Charged) -> list[tuple[str, str, str]]:
    return [(one.charge.kind, one.charge.name, str(one.charge.amount)) for one in charged.charges]


def shares(parts: Sequence[ChargedPart]) -> list[tuple[Any, ...]]:
    """The parts by plan, in days after ``START``."""
    return [(part.plan.name, (part.start - START) / DAY, (part.end - START) / DAY, part.share) for part in parts]
