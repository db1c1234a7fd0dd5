"""What the catalogue says of a call: who makes it, and what bounds it; or why it may not be made."""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from typing import TYPE_CHECKING, Literal, TypeVar

from msgspec import Struct
from msgspec.structs import replace

from tollkeeper.billing.bounds import Bounds, PacedRate, Quota
from tollkeeper.billing.counter import Counter
from tollkeeper.billing.customer import key_state_at
from tollkeeper.billing.limit import QuotaGrant, terms_of
from tollkeeper.billing.limit_window import limit_window
from tollkeeper.billing.rate import pace_of
from tollkeeper.billing.resolve import Facts, Resolver
from tollkeeper.billing.subscription import is_served
from tollkeeper.billing.terms import RouteLimit
from tollkeeper.events.lease import Denial
from tollkeeper.events.timestamps import from_microseconds, to_microseconds
from tollkeeper.service.gate_denials import ambiguous_api, key_denial, no_subscription, unknown_route
from tollkeeper.service.resolution import load_customers

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from datetime import datetime

    from tollkeeper.billing.customer import ApiKey
    from tollkeeper.billing.limit import Limit, Terms
    from tollkeeper.billing.resolve import Call, Resolution
    from tollkeeper.billing.subscription import Subscription, SubscriptionPause
    from tollkeeper.billing.terms import PlanChange
    from tollkeeper.store.protocols import Records

__all__ = ["Known", "Ruling", "Standing", "load_known"]

T = TypeVar("T")
MICRO = 1_000_000
FOR_EVER = 2**63 - 1
UNBOUND = Bounds()


class Ruling(Struct, frozen=True, kw_only=True):
    """What holds for a call in a time ``[since, until)`` (µs), as long as nobody changes the catalogue."""

    since: int
    until: int
    denial: Denial | None = None
    customer: str | None = None
    plan: str | None = None
    on_failure: Literal["admit", "deny"] = "admit"
    bounds: Bounds = UNBOUND


class Known(Struct, frozen=True):
    """What the catalogue says of the customers of some consumers."""

    facts: Facts
    route_limits: list[RouteLimit]
    grants: list[QuotaGrant]


class Standing:
    """What the catalogue says of some consumers, by the fingerprints of their keys. Not to be shared by threads."""

    def __init__(self, products: Facts) -> None:
        self._resolver = Resolver(products)
        self._plans = {plan.id: plan for plan in products.plans}
        versions = {version.id: version.api for version in products.versions}
        self._with_routes = {versions[route.version] for route in products.routes}
        self._subscriptions: defaultdict[str, list[Subscription]] = defaultdict(list)
        self._pauses: defaultdict[str, list[SubscriptionPause]] = defaultdict(list)
        self._changes: defaultdict[str, list[PlanChange]] = defaultdict(list)
        self._route_limits: defaultdict[str, list[RouteLimit]] = defaultdict(list)
        self._grants: defaultdict[str, list[QuotaGrant]] = defaultdict(list)
        self._moments: dict[str, list[int]] = {}
        self.keys: dict[str, ApiKey] = {}

    def learn(self, known: Known) -> None:
        """Take in what is known of consumers that were not known yet."""
        facts = known.facts
        self._resolver.learn(facts)
        self._subscriptions |= _grouped(facts.subscriptions, lambda subscription: subscription.customer)
        self._pauses |= _grouped(facts.pauses, lambda pause: pause.subscription)
        self._changes |= _grouped(facts.changes, lambda change: change.subscription)
        self._route_limits |= _grouped(known.route_limits, lambda limit: limit.subscription)
        self._grants |= _grouped(known.grants, lambda grant: grant.subscription)
        self._moments |= {key.fingerprint: self._moments_of(key) for key in facts.keys}
        self.keys |= {key.fingerprint: key for key in facts.keys}

    def rule(self, call: Call, now: int) -> Ruling:
        """Rule on a call of one of the consumers at a time (µs)."""
        key = self.keys[call.consumer or ""]
        at = from_microseconds(now)
        moments = self._moments[key.fingerprint]
        place = bisect_right(moments, now)
        until = moments[place] if place < len(moments) else FOR_EVER
        if (state := key_state_at(key, at)) != "active":
            return Ruling(since=now, until=until, denial=key_denial(state))
        if call.api is None:
            names = [api.name for api in self._resolver.apis(call.consumer, now)]
            if len(names) > 1:
                return Ruling(since=now, until=until, denial=ambiguous_api(names))
            call = replace(call, api=names[0] if names else None)
        found = self._resolver.resolve(call, now)
        subscription, customer, plan = found.subscription, found.customer, found.plan
        if subscription is None or customer is None or plan is None or not is_served(found.state):
            return Ruling(since=now, until=until, denial=no_subscription(call.api, call.api_version))
        if call.endpoint is not None and self._is_unknown(found):
            return Ruling(since=now, until=until, denial=unknown_route(call.endpoint, call.api))
        terms = terms_of(plan, subscription, self._route_limits[subscription.id])
        bounds = self._bounds(terms, call, subscription, customer.time_zone, at)
        return Ruling(
            since=now,
            until=min([until, *(quota.fresh.ends_at for quota in bounds.quotas)]),
            customer=customer.name,
            plan=plan.name,
            on_failure=terms.on_failure or "admit",
            bounds=bounds,
        )

    def changes_between(self, consumer: str, start: int, end: int) -> bool:
        """Whether time alone changed what holds for a consumer in ``(start, end]``, in µs."""
        moments = self._moments[consumer]
        return bisect_right(moments, start) != bisect_right(moments, end)

    def _is_unknown(self, found: Resolution) -> bool:
        """Whether the endpoint is none of an API that has some."""
        return found.route is None and found.api is not None and found.api.id in self._with_routes

    def _bounds(self, terms: Terms, call: Call, subscription: Subscription, time_zone: str, at: datetime) -> Bounds:
        limits, rates = terms.applying(call.api, call.endpoint)
        return Bounds(
            quotas=[self._quota(limit, subscription, time_zone, at) for limit in limits],
            rates=[
                PacedRate(
                    name=rate.name,
                    pace=pace_of(rate),
                    fresh=Counter(id=f"{subscription.id}|{rate.name}", subscription=subscription.id),
                )
                for rate in rates
            ],
        )

    def _quota(self, limit: Limit, subscription: Subscription, time_zone: str, at: datetime) -> Quota:
        changes = self._changes[subscription.id]
        period = limit_window(limit, subscription, changes, self._plans, time_zone, at)
        name, start, end = limit.name, to_microseconds(period.start), to_microseconds(period.end)
        granted = sum(
            grant.units
            for grant in self._grants[subscription.id]
            if grant.limit == name and period.start <= grant.at < period.end
        )
        return Quota(
            name=name,
            units=(limit.limit or 0) * MICRO + granted,
            hard=limit.hard,
            fresh=Counter(
                id=f"{subscription.id}|{name}|{start}", subscription=subscription.id, starts_at=start, ends_at=end
            ),
        )

    def _moments_of(self, key: ApiKey) -> list[int]:
        """When time changes anything for a key."""
        found: set[datetime | None] = {key.expires_at, key.revoked_at}
        for one in self._subscriptions[key.customer]:
            found |= {one.started_at, one.trial_ends_at, one.cancelled_at, one.ended_at}
            found |= {moment for pause in self._pauses[one.id] for moment in (pause.paused_at, pause.resumed_at)}
            found |= {change.effective_at for change in self._changes[one.id]}
        return sorted(to_microseconds(moment) for moment in found if moment is not None)


def load_known(records: Records, consumers: Iterable[str]) -> Known:
    """Read what there is to know of some consumers."""
    facts = load_customers(records, consumers)
    ids = [subscription.id for subscription in facts.subscriptions]
    if not ids:  # keys that somebody guesses cost one query
        return Known(facts, [], [])
    return Known(facts, records.find(RouteLimit, subscription=ids), records.find(QuotaGrant, subscription=ids))


def _grouped(rows: Iterable[T], key: Callable[[T], str]) -> defaultdict[str, list[T]]:
    groups: defaultdict[str, list[T]] = defaultdict(list)
    for row in rows:
        groups[key(row)].append(row)
    return groups
