"""A catalogue in which somebody has limits, and events of their calls, at any time."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from tollkeeper.billing.customer import ApiKey, Customer
from tollkeeper.billing.plan import Plan
from tollkeeper.billing.product import Api, ApiVersion
from tollkeeper.billing.subscription import Subscription
from tollkeeper.billing.terms import PlanChange
from tollkeeper.events.codec import DecodedBatch
from tollkeeper.events.event import Consumer, UsageEvent
from tollkeeper.events.fingerprint import fingerprint
from tollkeeper.events.ids import new_id, record_id
from tollkeeper.service.audit import editing

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tollkeeper.billing.counter import Counter
    from tollkeeper.service.bootstrap import Service

__all__ = ["START", "START_US", "called", "counters", "report", "sell", "used"]

START = datetime(2026, 1, 1, tzinfo=UTC)
START_US = 1_767_225_600_000_000


def sell(
    service: Service,
    *limits: dict[str, Any],
    name: str = "acme",
    time_zone: str = "UTC",
    started: datetime = START - timedelta(days=400),
    anchor: datetime | None = None,
    overrides: dict[str, Any] | None = None,
    **subscription: Any,
) -> str:
    """Sell the API ``orders`` to a new customer on a plan with these limits; the id of the subscription."""
    secret = f"the-secret-key-of-{name}"
    moment: dict[str, Any] = {"created_at": started}
    api, plan, customer = Api(id="api_1", name="orders", **moment), record_id("pla"), record_id("cus")
    found = Subscription(
        id=f"sub_{name}",
        customer=customer,
        started_at=started,
        anchor=anchor or started,
        overrides=overrides or {},
        **moment,
        **subscription,
    )
    with editing(service.catalog, "test") as edit:
        if edit.records.get(Api, api.id) is None:
            edit.add(api)
            edit.add(ApiVersion(id="ver_1", api=api.id, name="v1", **moment))
        edit.add(Plan(id=plan, name=f"plan of {name}", body={"limits": list(limits)} if limits else {}, **moment))
        edit.add(Customer(id=customer, name=name, time_zone=time_zone, **moment))
        edit.add(
            ApiKey(
                id=record_id("key"),
                customer=customer,
                prefix=secret[:8],
                digest=service.keys._digest(secret),
                fingerprint=fingerprint(secret),
                **moment,
            )
        )
        edit.add(found)
        edit.add(PlanChange(id=record_id("chg"), subscription=found.id, plan=plan, effective_at=started, **moment))
    return found.id


def called(at: datetime, *, name: str = "acme", endpoint: str = "/orders", **changes: Any) -> UsageEvent:
    """An event of one call."""
    plain: dict[str, Any] = {
        "id": new_id(),
        "source": "test",
        "time": at,
        "method": "GET",
        "path": endpoint,
        "route": endpoint,
        "status_code": 200,
        "api": "orders",
        "api_version": "v1",
        "consumer": Consumer(fingerprint(f"the-secret-key-of-{name}")),
    }
    return UsageEvent(**(plain | changes))


def report(service: Service, events: Iterable[UsageEvent]) -> None:
    """Store events."""
    found = list(events)
    service.events.append([("test", DecodedBatch(len(found), found, []))])


def counters(service: Service, *subscriptions: str) -> dict[str, Counter]:
    """All counters of subscriptions, by their ids."""
    with service.quotas.reading() as book:
        return {one.id: one for one in book.counters_of(subscriptions, since=-(2**62))}


def used(service: Service, *subscriptions: str) -> dict[str, int]:
    """What was used by each counter of subscriptions, in units."""
    return {name: one.used // 1_000_000 for name, one in counters(service, *subscriptions).items() if one.used}
