"""Which counters a call counts in, at any time, also one that the gate would not have admitted."""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from typing import TYPE_CHECKING

from tollkeeper.billing.counter import Counter
from tollkeeper.billing.limit import terms_of
from tollkeeper.billing.limit_window import limit_window
from tollkeeper.billing.resolve import Resolver
from tollkeeper.billing.terms import RouteLimit
from tollkeeper.events.timestamps import from_microseconds, to_microseconds
from tollkeeper.service.resolution import load_facts

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tollkeeper.billing.customer import Customer
    from tollkeeper.billing.limit import Limit, Terms
    from tollkeeper.billing.plan import Plan
    from tollkeeper.billing.resolve import Call, Resolution
    from tollkeeper.billing.subscription import Subscription
    from tollkeeper.billing.terms import PlanChange
    from tollkeeper.store.protocols import RecordStore

__all__ = ["LimitCounters"]


class LimitCounters:
    """Knows the limits of some consumers as the catalogue had them when this was made; belongs to one thread.

    Of a subscription that does not serve now, too: what was used of it is used.
    """

    def __init__(self, store: RecordStore, consumers: Iterable[str]) -> None:
        with store.reading() as records:
            facts = load_facts(records, consumers)
            route_limits = records.find(RouteLimit, subscription=[one.id for one in facts.subscriptions])
        self._resolver = Resolver(facts)
        self._plans = {plan.id: plan for plan in facts.plans}
        self._changes: defaultdict[str, list[PlanChange]] = defaultdict(list)
        for change in facts.changes:
            self._changes[change.subscription].append(change)
        self._route_limits: defaultdict[str, list[RouteLimit]] = defaultdict(list)
        for limit in route_limits:
            self._route_limits[limit.subscription].append(limit)
        self._terms: dict[tuple[str, str | None], Terms] = {}
        self._limits: dict[tuple[str, str | None, str | None, str | None], list[Limit]] = {}
        self._windows: defaultdict[tuple[str, Limit], list[Counter]] = defaultdict(list)

    def counters(self, call: Call, time_us: int) -> list[Counter]:
        """The counters of a call at a time, each as it is before anything is counted."""
        found = self._resolver.resolve(call, time_us)
        if found.subscription is None or found.customer is None:
            return []
        limits = self._limits_of(call, found, found.subscription)
        return [self._counter(limit, found.subscription, found.customer, time_us) for limit in limits]

    def is_steady(self, call: Call, first: int, last: int) -> bool:
        """Whether a call counts in the same counters from the ``first`` time to the ``last``."""
        if first == last:
            return True
        starts = self._resolver.timeline(call).starts
        unchanged = bisect_right(starts, first) == bisect_right(starts, last)
        return unchanged and self.counters(call, first) == self.counters(call, last)

    def _limits_of(self, call: Call, found: Resolution, subscription: Subscription) -> list[Limit]:
        plan = found.plan
        api = found.api.name if found.api else call.api
        key = (subscription.id, plan.id if plan else None, api, call.endpoint)
        limits = self._limits.get(key)
        if limits is None:
            terms = self._terms_of(plan, subscription)
            limits = self._limits[key] = terms.applying(api, call.endpoint)[0]
        return limits

    def _terms_of(self, plan: Plan | None, subscription: Subscription) -> Terms:
        key = (subscription.id, plan.id if plan else None)
        if key not in self._terms:
            self._terms[key] = terms_of(plan, subscription, self._route_limits[subscription.id])
        return self._terms[key]

    def _counter(self, limit: Limit, subscription: Subscription, customer: Customer, time_us: int) -> Counter:
        known = self._windows[subscription.id, limit]
        counter = next((one for one in known if one.starts_at <= time_us < one.ends_at), None)
        if counter is None:
            at = from_microseconds(time_us)
            changes = self._changes[subscription.id]
            period = limit_window(limit, subscription, changes, self._plans, customer.time_zone, at)
            start, end = to_microseconds(period.start), to_microseconds(period.end)
            counter = Counter(
                id=f"{subscription.id}|{limit.name}|{start}", subscription=subscription.id, starts_at=start, ends_at=end
            )
            known.append(counter)
        return counter
