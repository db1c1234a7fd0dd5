"""Customers whose limits stand everywhere between empty and exceeded, for pages and lists that show it."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, NamedTuple

from tollkeeper.billing.counter import Counter
from tollkeeper.billing.limit import Limit, Rate
from tollkeeper.events.timestamps import to_microseconds
from tollkeeper.service.audit import editing
from tollkeeper.service.customers import NewCustomer, create_customer
from tollkeeper.service.grants import NewGrant, grant_units
from tollkeeper.service.keys import NewKey
from tollkeeper.service.plans import NewPlan, create_plan
from tollkeeper.service.products import NewApi, create_api
from tollkeeper.service.quota_list import list_quotas
from tollkeeper.service.subscription_life import cancel, set_paused
from tollkeeper.service.subscriptions import NewSubscription, subscribe

if TYPE_CHECKING:
    from tollkeeper.service.bootstrap import Service

__all__ = ["LONG", "Limited", "open_limited", "use"]

MICRO = 1_000_000
LONG = "Österreichische Gesellschaft für Wetterdaten und Klimaforschung mit beschränkter Haftung & Co. KG"
NAMES = {
    "Acme Ltd": "0.03",
    "Initech Analytics": "0.55",
    "Globex": "0.82",
    "Umbrella Health": "0.97",
    "Hooli": "1",
    "Cyberdyne Systems": "1.374",
    LONG: "0.951",
    "Wayne Robotics": "0",
    "Stark & Töchter": "0.8",
    "Monarch Labs": "0.612",
    "Tyrell": "0.18",
    "Wonka Energy": "0.7999",
}


class Limited(NamedTuple):
    """The ids of customers and of their subscriptions, by the names of the customers."""

    customers: dict[str, str]
    subscriptions: dict[str, str]


def open_limited(service: Service) -> Limited:
    """Subscribe twelve customers to plans with limits, and use as much of those as ``NAMES`` says."""
    customers, subscriptions = {}, {}
    with editing(service.catalog, "ann") as edit:
        create_api(edit, NewApi(name="forecasts"))
        limits = [Limit(limit=100_000, carry_over=20_000), Limit(limit=5_000, period="day", endpoint="/forecasts/{id}")]
        rates = [Rate(rate=50, burst=200), Rate(rate=600, per="minute", endpoint="/forecasts/{id}/raster-tiles")]
        create_plan(edit, NewPlan(name="gold", limits=limits, rates=rates))
        create_plan(edit, NewPlan(name="free", limits=[Limit(limit=1_000, hard=False)]))
        create_plan(edit, NewPlan(name="open"))
        for place, name in enumerate(NAMES):
            customer = create_customer(edit, NewCustomer(name=name, external_id=f"c{place}"))
            service.keys.create(edit, NewKey(customer=customer.id))
            plan = "free" if name == "Cyberdyne Systems" else "gold"
            made = subscribe(edit, NewSubscription(customer=customer.id, plan=plan, api="forecasts"))
            customers[name], subscriptions[name] = customer.id, made.id
    with editing(service.catalog, "bob") as edit:
        subscribe(edit, NewSubscription(customer="c0", plan="open"))  # no limits
        grant_units(edit, subscriptions["Globex"], NewGrant(limit="all month", units=Decimal(25_000), note="Sorry"))
        set_paused(edit, subscriptions["Tyrell"], paused=True)
        ended = subscribe(edit, NewSubscription(customer="c1", plan="gold"))
        cancel(edit, ended.id, at_once=True)
    for name, share in NAMES.items():
        use(service, subscriptions[name], "all month", Decimal(share), held=3 if name == "Globex" else 0)
    use(service, subscriptions["Acme Ltd"], "/forecasts/{id} day", Decimal("0.4246"))
    return Limited(customers, subscriptions)


def use(service: Service, subscription: str, name: str, share: Decimal, *, held: int = 0, carried: int = 0) -> None:
    """Let a share of a quota be used."""
    found = list_quotas(service.catalog, service.quotas, subscription=subscription).items
    (status,) = (one for one in found if one.name == name)
    start = to_microseconds(status.start)
    counter = Counter(
        id=f"{subscription}|{name}|{start}",
        subscription=subscription,
        used=int((status.quota + carried) * MICRO * share),
        held=held * MICRO,
        carried=carried * MICRO,
        starts_at=start,
        ends_at=to_microseconds(status.end),
    )
    with service.quotas.writing() as book:
        book.put([counter])
