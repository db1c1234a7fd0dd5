"""Plans with their fees and prices, who subscribes to them, and the meters that prices are of."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import msgspec
from litestar import Request, Response, get
from msgspec import Struct

from tollkeeper.billing.customer import Customer
from tollkeeper.billing.limit import Terms
from tollkeeper.billing.plan import Plan
from tollkeeper.billing.rate_card import CardPrice, RateCard, rate_card
from tollkeeper.billing.subscription import Subscription
from tollkeeper.billing.terms import PlanChange, plan_at
from tollkeeper.dashboard.prices import ShownRow, shown_rows
from tollkeeper.dashboard.view import parse_view
from tollkeeper.metering.definition import MeterDefinition
from tollkeeper.metering.meter import Meter
from tollkeeper.service.listing import find_record, list_records
from tollkeeper.service.subscription_views import SubscriptionView, show_subscriptions

if TYPE_CHECKING:
    from collections.abc import Sequence

    from litestar.di import NamedDependency
    from litestar.params import FromPath

    from tollkeeper.dashboard.pages import Pages
    from tollkeeper.service.bootstrap import Service
    from tollkeeper.store.protocols import Records

__all__ = ["PLAN_PAGES"]

PAGE = 50
KINDS = {
    "pay_as_you_go": "Pay as you go",
    "discount_amount": "Amount off",
    "discount_percent": "Per cent off",
    "prepaid_volume": "Prepaid calls",
    "prepaid_value": "Prepaid value",
}


class Row(Struct, frozen=True, kw_only=True):
    """A plan in the list; ``subscribers`` are subscriptions that it is in force of now."""

    plan: Plan
    card: RateCard
    subscribers: int


class Price(Struct, frozen=True, kw_only=True):
    """A price of a plan with its rows in words, the newest first."""

    price: CardPrice
    rows: list[ShownRow]


class Subscriber(Struct, frozen=True, kw_only=True):
    """A subscription that has, had or will have a plan from ``change`` on; ``state`` is None when it has another."""

    customer: Customer
    subscription: SubscriptionView
    change: PlanChange
    state: str | None


@get("/plans", sync_to_thread=True)
def plans(
    request: Request[Any, Any, Any], pages: NamedDependency[Pages], service: NamedDependency[Service]
) -> Response[bytes]:
    """List plans and meters."""
    view = parse_view(request)
    after, after_meter = view.query.get("after") or None, view.query.get("meters") or None
    with service.catalog.reading() as records:
        listed = list_records(records, Plan, after=after, limit=PAGE)
        meters = list_records(records, MeterDefinition, after=after_meter, limit=PAGE)
    counts = service.revenue.answer(_subscribers, tuple(plan.id for plan in listed.items))
    return pages.render(
        request,
        "plans.html",
        view=view,
        rows=[Row(plan=plan, card=rate_card(plan), subscribers=counts[plan.id]) for plan in listed.items],
        meters=[msgspec.convert(one.body, Meter, strict=False) for one in meters.items],
        kinds=KINDS,
        after=after,
        following=listed.next,
        after_meter=after_meter,
        following_meter=meters.next,
    )


@get("/plans/{plan:str}", sync_to_thread=True)
def one_plan(
    request: Request[Any, Any, Any],
    pages: NamedDependency[Pages],
    service: NamedDependency[Service],
    plan: FromPath[str],
) -> Response[bytes]:
    """Show what a plan costs and allows, and who subscribes to it, newest first."""
    view = parse_view(request)
    after = view.query.get("after") or None
    now = datetime.now(UTC)
    with service.catalog.reading() as records:
        found = find_record(records, Plan, plan)
        listed = list_records(records, PlanChange, after=after, limit=PAGE, newest_first=True, plan=found.id)
        subscribers = _shown(records, listed.items, now)
    card = rate_card(found)
    currency = found.currency or ""
    return pages.render(
        request,
        "plan.html",
        view=view,
        plan=found,
        kind=KINDS[found.kind],
        card=card,
        prices=[Price(price=price, rows=shown_rows(price.rows, currency, now)) for price in card.prices],
        terms=Terms.said(found.body),
        subscribers=subscribers,
        after=after,
        following=listed.next,
    )


def _subscribers(records: Records, plans: tuple[str, ...]) -> Counter[str]:
    """Count the subscriptions that have begun and not ended, by the plan in force."""
    now = datetime.now(UTC)
    touched = sorted({change.subscription for change in records.find(PlanChange, plan=list(plans))})
    changes: dict[str, list[PlanChange]] = {}
    for change in records.find(PlanChange, subscription=touched):
        changes.setdefault(change.subscription, []).append(change)
    counts: Counter[str] = Counter()
    for subscription in records.find(Subscription, id=touched):
        if subscription.ended_at is None or subscription.ended_at > now:
            counts[plan_at(changes[subscription.id], now) or ""] += 1
    return counts


def _shown(records: Records, changes: Sequence[PlanChange], now: datetime) -> list[Subscriber]:
    subscriptions = records.find(Subscription, id=sorted({change.subscription for change in changes}))
    views = {view.id: view for view in show_subscriptions(records, subscriptions, now)}
    customers = {one.id: one for one in records.find(Customer, id=sorted({view.customer for view in views.values()}))}
    every: dict[str, list[PlanChange]] = {}
    for change in records.find(PlanChange, subscription=sorted(views)):
        every.setdefault(change.subscription, []).append(change)
    return [
        Subscriber(
            customer=customers[views[change.subscription].customer],
            subscription=views[change.subscription],
            change=change,
            state=_state(views[change.subscription], change, plan_at(every[change.subscription], now), now),
        )
        for change in changes
    ]


def _state(shown: SubscriptionView, change: PlanChange, current: str | None, now: datetime) -> str | None:
    if change.effective_at > now:
        return "to come"
    return shown.state if current == change.plan else None


PLAN_PAGES = (plans, one_plan)
