"""From the events of one customer to the charges of an invoice: in which part they are, and what they come to."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from tollkeeper.billing.account import CustomerAccount
from tollkeeper.billing.called import CallTable, Name
from tollkeeper.billing.customer_rows import is_free
from tollkeeper.billing.part_charges import charge_part
from tollkeeper.billing.part_usage import PartUsage, Stretch
from tollkeeper.billing.parts import billing_parts
from tollkeeper.billing.price_list import PriceList
from tollkeeper.billing.rate_card import rate_card
from tollkeeper.billing.resolve import Call, Resolver
from tollkeeper.billing.statement import CalledAs, ChargedPart, StatedCharge

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime
    from decimal import Decimal

    from tollkeeper.billing.charge import Charge
    from tollkeeper.billing.resolve import Resolution
    from tollkeeper.events.event import UsageEvent
    from tollkeeper.metering.meter import Meter

__all__ = ["Charged", "Charging", "CustomerAccount", "billing_parts", "needs_details"]

PLAIN = {"id", "source", "time", "method", "path", "status_code", "route", "consumer", "api", "api_version", "units"}
PLAIN |= {"gated", "request.elapsed_time", "response.content_length"}


class Charged(Struct, frozen=True):
    """The parts with all that their charges rest on, the charges by part, and what was used but can't be charged."""

    parts: tuple[ChargedPart, ...]
    charges: tuple[StatedCharge, ...]
    problems: tuple[str, ...]

    def currency_of(self, part: ChargedPart) -> str | None:
        """The currency of a part's charges; None when nothing says it, and there are none."""
        return part.currency


class Charging:
    """Takes the events of one customer, in order of time, for parts that don't overlap; keeps sums only.

    Not to be shared between threads.
    """

    def __init__(self, account: CustomerAccount, parts: Sequence[ChargedPart]) -> None:
        facts = account.facts
        self._keys = tuple(sorted(key.fingerprint for key in facts.keys))
        self._resolver = Resolver(facts)
        self._prices = PriceList(account, self._resolver)
        self._problems: list[str] = []
        currency = facts.customers[0].currency if facts.customers else None
        self._usages = [self._opened(part, currency) for part in parts]
        self._by_name: dict[Name, list[Stretch]] = {}
        # A hop less for each of millions of events: it takes one, and passes over what is in no part.
        self.take: Callable[[UsageEvent], None] = CallTable(self._stretches).take

    def charged(self, until: int) -> Charged:
        """Work out what all of it comes to, once; ``until`` is the ``seq`` of the newest event that was looked at."""
        rated: dict[int, tuple[ChargedPart, list[Charge]]] = {}
        # In order of time, for what one part leaves of its amount off carries over to the next.
        for place, usage in sorted(enumerate(self._usages), key=lambda one: one[1].part.start):
            rated[place] = self._rated(usage, until, [part for part, _ in rated.values()])
            self._problems += usage.problems()
        in_order = [rated[place] for place in range(len(self._usages))]
        return Charged(
            tuple(part for part, _ in in_order),
            tuple(StatedCharge(place, charge) for place, (_, charges) in enumerate(in_order) for charge in charges),
            tuple(dict.fromkeys(self._problems)),
        )

    def _rated(self, usage: PartUsage, until: int, before: Sequence[ChargedPart]) -> tuple[ChargedPart, list[Charge]]:
        prices, used = usage.usage()
        part = replace(
            usage.part,
            currency=usage.currency,
            keys=self._keys,
            until=until,
            calls=tuple(sorted(usage.called, key=_order)),
            prices=prices,
            carried=_carried(usage, before),
        )
        if part.currency is not None:
            charges, left = charge_part(part, used)
            return replace(part, left=left), charges
        if not all(is_free(row) for price in prices for row in price.rows):
            self._problems.append(
                f"Nothing says the currency of the subscription {part.subscription}, and it is not charged: give"
                " its plan or the customer one."
            )
        return part, []

    def _opened(self, part: ChargedPart, currency: str | None) -> PartUsage:
        prices, problems = self._prices.of_plan(part)
        self._problems += problems
        return PartUsage(part, prices, part.currency or part.plan.currency or currency)

    def _stretches(self, key: str, name: Name) -> list[Stretch]:
        """Where the calls of a name count; it is the same for all keys of the customer."""
        if key not in self._keys:
            return []
        if name not in self._by_name:
            api, version, endpoint, method = name
            call = Call(consumer=key, api=api, api_version=version, endpoint=endpoint, method=method)
            self._by_name[name] = [
                stretch for usage, called in self._called(call) for stretch in usage.stretches(called)
            ]
        return self._by_name[name]

    def _called(self, call: Call) -> list[tuple[PartUsage, CalledAs]]:
        """The parts that a call would be in, and of which route there: contiguous, whatever else changes meanwhile."""
        merged: list[tuple[PartUsage, CalledAs]] = []
        for start, end, found in self._resolver.timeline(call).spans():
            for usage in self._usages:
                part = usage.part
                begin, until = max(start, part.start), min(end, part.end)
                if found.subscription is None or part.subscription != found.subscription.id or begin >= until:
                    continue
                route = self._counted_route(usage, found)
                last = merged[-1] if merged else None
                if last and last[0] is usage and last[1].end == begin and last[1].route == route:
                    merged[-1] = usage, replace(last[1], end=until)
                    continue
                called = CalledAs(
                    api=call.api,
                    api_version=call.api_version,
                    endpoint=call.endpoint,
                    method=call.method,
                    route=route,
                    start=begin,
                    end=until,
                )
                merged.append((usage, called))
        return merged

    def _counted_route(self, usage: PartUsage, found: Resolution) -> str | None:
        """The id of the route that was found, with its prices looked up for the part."""
        if found.route is None:
            return None
        if found.route.id not in usage.routes:
            usage.routes[found.route.id] = self._prices.of_route(usage.part, found)
        return found.route.id


def needs_details(account: CustomerAccount, parts: Sequence[ChargedPart]) -> bool:
    """Whether a meter that counts in one of the parts reads what a walk that is not ``whole`` leaves out."""
    names = {price.meter for part in parts for price in rate_card(part.plan).prices}
    return any(_reads_details(meter) for name, meter in account.meters.items() if name in names)


def _reads_details(meter: Meter) -> bool:
    paths = {*meter.group_by, *(one.field for one in meter.filters), *([meter.field] if meter.field else [])}
    return any(path not in PLAIN and path.partition(".")[0] != "consumer" for path in paths)


def _carried(usage: PartUsage, before: Sequence[ChargedPart]) -> Decimal:
    """What the part that ended when this one began left of its amount off; else what the part says itself."""
    asked = (usage.part.subscription, usage.part.start, usage.currency)
    found = (one.left for one in before if (one.subscription, one.end, one.currency) == asked)
    return next(found, usage.part.carried)


def _order(called: CalledAs) -> tuple[datetime | str, ...]:
    names = (called.api, called.api_version, called.endpoint, called.method)
    return called.start, *(name or "" for name in names)
