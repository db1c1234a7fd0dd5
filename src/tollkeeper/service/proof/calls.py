"""What becomes of each call of a customer: billed, free, not to be told, or still to be invoiced."""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter, defaultdict
from datetime import datetime
from typing import TYPE_CHECKING, Literal

from msgspec import Struct
from msgspec.structs import replace

from tollkeeper.billing.models.per_unit import PerUnit
from tollkeeper.billing.price_list import PriceList
from tollkeeper.billing.recomputing import charge_filter
from tollkeeper.billing.resolve import Call, Resolver
from tollkeeper.billing.statement import CalledAs, ChargedPart
from tollkeeper.service.invoicing.past import part_key

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from tollkeeper.billing.account import CustomerAccount
    from tollkeeper.billing.resolve import Resolution
    from tollkeeper.billing.statement import UsedPrice
    from tollkeeper.events.event import UsageEvent
    from tollkeeper.store.protocols import StoredEvent

    Check = Callable[[int, UsageEvent], bool]

__all__ = ["CallJudge", "Verdict"]

Verdict = Literal["billed", "free", "unresolved", "open"]
Name = tuple[str | None, ...]
EVER = 2**62


class _Stretch(Struct, frozen=True):
    """What calls of a name are from ``start`` on, but those that a meter of the plan counts, which are ``open``.

    ``foreign`` names the route and the currency of a price that is not billed, for it is not the subscription's.
    """

    start: datetime
    verdict: Verdict
    meters: tuple[Check, ...] = ()
    foreign: str | None = None


class CallJudge:
    """Judges the calls of one customer; ``billed`` are the parts of invoices that are final.

    Not to be shared between threads.
    """

    def __init__(self, account: CustomerAccount, billed: Sequence[ChargedPart]) -> None:
        # What was rated anew since, as with late usage, says what is charged of a part now.
        newest = {part_key(part): part for part in sorted(billed, key=lambda one: (one.until, len(one.earlier)))}
        self._account, self._billed = account, list(newest.values())
        self._resolver = Resolver(account.facts)
        self._prices = PriceList(account, self._resolver)
        self._checks: dict[Name, tuple[Check, ...]] = {}
        self._times: dict[Name, tuple[_Stretch, ...]] = {}
        self._foreign: Counter[str] = Counter()
        self._called: defaultdict[Name, list[tuple[ChargedPart, set[str | None]]]] = defaultdict(list)
        for part in self._billed:
            routes: defaultdict[Name, set[str | None]] = defaultdict(set)
            for one in part.calls:
                routes[one.api, one.api_version, one.endpoint, one.method].add(one.route)
            for name, found in routes.items():
                self._called[name].append((part, found))

    def judge(self, stored: StoredEvent) -> Verdict:
        """Say what a call is: ``open`` when it costs something and no invoice that is final charges it."""
        event = stored.event
        key = event.consumer.key if event.consumer else None
        asked = (key, event.api, event.api_version, event.route, event.method)
        checks = self._checks.get(asked)
        if checks is None:
            checks = self._checks[asked] = tuple(self._checks_of(*asked))
        for check in checks:
            if check(stored.seq, event):
                return "billed"
        times = self._times.get(asked)
        if times is None:
            times = self._times[asked] = tuple(self._stretches_of(*asked))
        stretch = times[bisect_right(times, event.time, key=_start) - 1]
        for check in stretch.meters:
            if check(stored.seq, event):
                return "open"
        if stretch.foreign is not None:
            self._foreign[stretch.foreign] += 1
        return stretch.verdict

    def problems(self) -> Iterator[str]:
        """What will never be billed although it costs something."""
        for what, calls in self._foreign.items():
            yield f"{calls:,} calls of {what}: give it a plan in that currency, or a price of its own."

    def _checks_of(self, key: str | None, *name: str | None) -> Iterator[Check]:
        """The checks of all prices of final invoices that the calls of a key and a name may be charged at."""
        api, version, endpoint, method = name
        for part, routes in self._called.get((api or None, version or None, endpoint, method), ()):
            for price in part.prices:
                if key in part.keys and (price.meter is not None or price.price in routes):
                    check = _check(part, price)
                    if check is not None:
                        yield check

    def _stretches_of(self, key: str | None, *name: str | None) -> Iterator[_Stretch]:
        api, version, endpoint, method = name
        call = Call(consumer=key, api=api, api_version=version, endpoint=endpoint, method=method)
        for start, end, found in self._resolver.timeline(call).spans():
            yield from self._stretches(call, start, end, found)

    def _stretches(self, call: Call, start: datetime, end: datetime, found: Resolution) -> Iterator[_Stretch]:
        """What the catalogue as it stands says of a time in which nothing but prices changes."""
        subscription, plan = found.subscription, found.plan
        if subscription is None or found.state == "ended":
            yield _Stretch(start, "unresolved")
            return
        if plan is None or start < (subscription.trial_ends_at or subscription.anchor):
            yield _Stretch(start, "free")
            return
        called = _called(call, found.route.id if found.route else None, start, end)
        part = ChargedPart(
            subscription=subscription.id,
            plan=plan,
            period_start=start,
            period_end=end,
            start=start,
            end=end,
            keys=(call.consumer,) if call.consumer is not None else (),
            until=EVER,
            calls=(called,),
        )
        metered = [price for price in self._prices.of_plan(part)[0] if price.meter is not None]
        meters = tuple(check for price in metered if (check := _check(part, price)))
        route = self._prices.of_route(part, found)
        if route is None:
            yield _Stretch(start, "free" if found.route or metered else "unresolved", meters)
            return
        currency = self._currency(part)
        for at, _, bucket in route.stretches(start, end):
            foreign = None
            if currency is not None and bucket.currency not in {None, currency}:
                foreign = (
                    f"{route.price.name} are priced in {bucket.currency} and not billed, for the subscription"
                    f" {subscription.id} is billed in {currency}"
                )
            costs = bucket.row is not None and _costs(bucket.row.price)
            yield _Stretch(at, "open" if costs else "free", meters, foreign)

    def _currency(self, part: ChargedPart) -> str | None:
        customers = self._account.facts.customers
        billed = (
            one.currency
            for one in self._billed
            if one.subscription == part.subscription and one.start < part.end and part.start < one.end
        )
        return part.plan.currency or (customers[0].currency if customers else None) or next(billed, None)


def _start(stretch: _Stretch) -> datetime:
    return stretch.start


def _called(call: Call, route: str | None, start: datetime, end: datetime) -> CalledAs:
    return CalledAs(
        api=call.api or None,
        api_version=call.api_version or None,
        endpoint=call.endpoint,
        method=call.method,
        route=route,
        start=start,
        end=end,
    )


def _check(part: ChargedPart, price: UsedPrice) -> Check | None:
    """Whether a call is among those that a price makes cost something; None when it is free."""
    rows = tuple(row for row in price.rows if _costs(row.price))
    return charge_filter(replace(part, prices=(replace(price, rows=rows),)), price.price) if rows else None


def _costs(price: object) -> bool:
    return not isinstance(price, PerUnit) or bool(price.unit_price)
