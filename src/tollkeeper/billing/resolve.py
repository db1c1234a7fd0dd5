"""Whose a call is and what it costs: from dated rows, the call's key, route and time, and nothing else.

Events are never rewritten. A key or a route that is registered later is found for earlier calls, too.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from itertools import pairwise
from typing import TYPE_CHECKING, TypeVar

from msgspec import Struct
from msgspec.structs import replace

from tollkeeper.billing.customer import ApiKey, Customer
from tollkeeper.billing.plan import Plan
from tollkeeper.billing.price import price_at
from tollkeeper.billing.product import Api, ApiRoute, ApiVersion, RoutePrice
from tollkeeper.billing.subscription import State, Subscription, SubscriptionPause, is_served, state_at
from tollkeeper.billing.terms import PlanChange, plan_at
from tollkeeper.events.timestamps import END, EPOCH, from_microseconds, to_microseconds

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from datetime import datetime

__all__ = ["Call", "Facts", "Resolution", "Resolver", "Timeline"]

T = TypeVar("T")


class Call(Struct, frozen=True, kw_only=True):
    """What an event says of itself: ``consumer`` is the fingerprint of its key, ``endpoint`` its route."""

    consumer: str | None = None
    api: str | None = None
    api_version: str | None = None
    endpoint: str | None = None
    method: str | None = None


class Facts(Struct, kw_only=True):
    """The rows of the catalogue that resolution reads, each kind in the order it was made."""

    apis: list[Api] = []
    versions: list[ApiVersion] = []
    routes: list[ApiRoute] = []
    prices: list[RoutePrice] = []
    plans: list[Plan] = []
    keys: list[ApiKey] = []
    customers: list[Customer] = []
    subscriptions: list[Subscription] = []
    pauses: list[SubscriptionPause] = []
    changes: list[PlanChange] = []


class Resolution(Struct, frozen=True, kw_only=True):
    """Whose a call is and what it costs; a part that is not known is None."""

    key: ApiKey | None = None
    customer: Customer | None = None
    subscription: Subscription | None = None
    state: State | None = None
    plan: Plan | None = None
    api: Api | None = None
    version: ApiVersion | None = None
    route: ApiRoute | None = None
    price: RoutePrice | None = None


class Timeline(Struct, frozen=True):
    """The resolutions of one call over time: each holds from its start (µs since 1970) to the next one's."""

    starts: list[int]
    resolutions: list[Resolution]

    def at(self, time_us: int) -> Resolution:
        """The resolution at a time."""
        return self.resolutions[max(bisect_right(self.starts, time_us) - 1, 0)]

    def spans(self) -> Iterator[tuple[datetime, datetime, Resolution]]:
        """The resolutions with the time that each holds for."""
        edges = [*map(from_microseconds, self.starts), END]
        for (start, end), resolution in zip(pairwise(edges), self.resolutions, strict=True):
            yield start, end, resolution


class Resolver:
    """Resolves calls against facts that do not change; not to be shared between threads.

    A call is worked out once for all times, so that asking again costs a look-up.
    """

    def __init__(self, facts: Facts) -> None:
        self._apis = sorted(facts.apis, key=lambda api: api.name)
        self._by_name = {api.name: api for api in facts.apis}
        self._versions = _grouped(facts.versions, lambda version: version.api)
        self._routes = _grouped(facts.routes, lambda route: route.version)
        self._by_call: dict[str, dict[tuple[str | None, str | None], ApiRoute]] = {}
        self._prices = _grouped(facts.prices, lambda price: price.route)
        self._plans = {plan.id: plan for plan in facts.plans}
        self._keys: dict[str, ApiKey] = {}
        self._customers: dict[str, Customer] = {}
        self._subscriptions: defaultdict[str, list[Subscription]] = defaultdict(list)
        self._pauses: defaultdict[str, list[SubscriptionPause]] = defaultdict(list)
        self._changes: defaultdict[str, list[PlanChange]] = defaultdict(list)
        self._timelines: dict[Call, Timeline] = {}
        self.learn(facts)

    def learn(self, facts: Facts) -> None:
        """Take in more customers with all that is theirs, of whose new keys no call was resolved yet; no products."""
        self._keys |= {key.fingerprint: key for key in facts.keys}
        self._customers |= {customer.id: customer for customer in facts.customers}
        self._subscriptions |= _grouped(facts.subscriptions, lambda subscription: subscription.customer)
        self._pauses |= _grouped(facts.pauses, lambda pause: pause.subscription)
        self._changes |= _grouped(facts.changes, lambda change: change.subscription)

    def resolve(self, call: Call, time_us: int) -> Resolution:
        """Resolve a call at a time, in µs since 1970."""
        return self.timeline(call).at(time_us)

    def timeline(self, call: Call) -> Timeline:
        """Resolve a call at all times."""
        found = self._timelines.get(call)
        if found is None:
            found = self._timelines[call] = self._work_out(call)
        return found

    def prices(self, route: str) -> list[RoutePrice]:
        """All prices of a route, by its id."""
        return self._prices[route]

    def apis(self, consumer: str | None, time_us: int) -> list[Api]:
        """What a consumer is subscribed to at a time (µs since 1970), by name; of one, nobody has to name it."""
        customer = self._owner(consumer)[1]
        return self._served(self._subscriptions[customer.id], from_microseconds(time_us)) if customer else []

    def _owner(self, consumer: str | None) -> tuple[ApiKey | None, Customer | None]:
        key = self._keys.get(consumer) if consumer is not None else None
        return key, self._customers.get(key.customer) if key else None

    def _work_out(self, call: Call) -> Timeline:
        key, customer = self._owner(call.consumer)
        subscriptions = self._subscriptions[customer.id] if customer else []
        moments = {EPOCH, *(moment for subscription in subscriptions for moment in self._moments(subscription))}
        if call.api is None:
            moments.update(api.created_at for api in self._apis)
        routes = {
            product.route.id for product in (self._product(call, subscriptions, at) for at in moments) if product.route
        }
        moments |= {price.valid_from for route in routes for price in self._prices[route]}
        timeline = Timeline([], [])
        for at in sorted(moments):
            product = replace(self._product(call, subscriptions, at), key=key, customer=customer)
            resolution = self._subscribed(product, subscriptions, at)
            if not timeline.resolutions or timeline.resolutions[-1] != resolution:
                timeline.starts.append(to_microseconds(at))
                timeline.resolutions.append(resolution)
        return timeline

    def _moments(self, subscription: Subscription) -> list[datetime]:
        """When anything about a subscription changes."""
        pauses = self._pauses[subscription.id]
        found = [
            subscription.started_at,
            subscription.trial_ends_at,
            subscription.cancelled_at,
            subscription.ended_at,
            *(pause.paused_at for pause in pauses),
            *(pause.resumed_at for pause in pauses),
            *(change.effective_at for change in self._changes[subscription.id]),
        ]
        return [moment for moment in found if moment is not None]

    def _product(self, call: Call, subscriptions: list[Subscription], at: datetime) -> Resolution:
        """What was called. Who names no API means the one subscribed to, who names no version the first there was."""
        if call.api is None:
            meant = self._served(subscriptions, at) or self._paused(subscriptions, at)
            api = meant[0] if len(meant) == 1 else None
        else:
            api = self._by_name.get(call.api)
        if api is None:
            return Resolution()
        versions = self._versions[api.id]
        if call.api_version is None:
            version = versions[0] if versions else None
        else:
            version = next((version for version in versions if version.name == call.api_version), None)
        route = self._route(version, call) if version else None
        price = price_at(self._prices[route.id], at) if route else None
        return Resolution(api=api, version=version, route=route, price=price)

    def _served(self, subscriptions: list[Subscription], at: datetime) -> list[Api]:
        return self._covered({one.api for one in subscriptions if is_served(self._state(one, at))}, at)

    def _paused(self, subscriptions: list[Subscription], at: datetime) -> list[Api]:
        """What is not served for a while; a call that was made nevertheless is of it."""
        return self._covered({one.api for one in subscriptions if self._state(one, at) == "paused"}, at)

    def _covered(self, subscribed: set[str | None], at: datetime) -> list[Api]:
        """The APIs subscribed to: every API is those that there were at the time, else calls of then would change."""
        named = [api for api in self._apis if api.id in subscribed]
        if None not in subscribed:
            return named
        there = [api for api in self._apis if api.created_at <= at or api in named]
        return there or self._apis

    def _route(self, version: ApiVersion, call: Call) -> ApiRoute | None:
        """The exact endpoint, else the default route; of either the one for this very method, else for any."""
        routes = self._by_call.get(version.id)
        if routes is None:
            routes = {(route.endpoint, route.method): route for route in self._routes[version.id]}
            self._by_call[version.id] = routes
        wanted = ((endpoint, method) for endpoint in (call.endpoint, None) for method in (call.method, None))
        return next((routes[pair] for pair in wanted if pair in routes), None)

    def _subscribed(self, product: Resolution, subscriptions: list[Subscription], at: datetime) -> Resolution:
        """Add the subscription that covers a product: one in force before one that has ended, the narrowest first."""
        api, version = (part.id if part else None for part in (product.api, product.version))
        covering = [
            (state != "ended", one.version is not None, one.api is not None, one.started_at, one)
            for one in subscriptions
            if one.api in {None, api} and one.version in {None, version} and (state := self._state(one, at))
        ]
        if not covering:
            return product
        found = max(covering, key=lambda ranked: ranked[:4])[4]
        plan = plan_at(self._changes[found.id], at)
        return replace(product, subscription=found, state=self._state(found, at), plan=self._plans.get(plan or ""))

    def _state(self, subscription: Subscription, at: datetime) -> State | None:
        return state_at(subscription, self._pauses[subscription.id], at)


def _grouped(rows: Iterable[T], key: Callable[[T], str]) -> defaultdict[str, list[T]]:
    groups: defaultdict[str, list[T]] = defaultdict(list)
    for row in rows:
        groups[key(row)].append(row)
    return groups
