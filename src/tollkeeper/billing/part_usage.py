"""What was used in a part, gathered event by event, in sums."""

from __future__ import annotations

from datetime import datetime
from fractions import Fraction
from functools import partial
from typing import TYPE_CHECKING

from msgspec import Struct

from tollkeeper.billing.metered_price import MeteredPrice
from tollkeeper.billing.prepaid_calls import PrepaidCalls
from tollkeeper.billing.rate_card import rate_card
from tollkeeper.billing.route_usage import Bucket
from tollkeeper.billing.statement import CalledAs

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from tollkeeper.billing.charge import PricedUsage
    from tollkeeper.billing.route_usage import RouteUsage
    from tollkeeper.billing.statement import ChargedPart, UsedPrice
    from tollkeeper.events.event import UsageEvent

    Take = Callable[[UsageEvent], None]

__all__ = ["PartUsage", "Stretch", "pass_over"]

MICRO = 1_000_000
HALF = Fraction(1, 2)


class PartUsage:
    """A part with the ``prices`` of its plan, and what was used in it.

    ``routes`` are those that were called, by their ids, None where one has no price. Without a ``currency``, the first
    call that costs something says it. Events come in order of time. Not to be shared between threads.
    """

    def __init__(self, part: ChargedPart, prices: Sequence[UsedPrice], currency: str | None) -> None:
        self.part, self.currency = part, currency
        self.routes: dict[str, RouteUsage | None] = {}
        self.called: set[CalledAs] = set()
        self._prices = tuple(prices)
        self._metered = [MeteredPrice(price, price.meter) for price in prices if price.meter is not None]
        self._prepaid = PrepaidCalls(_volume(part)) if part.plan.kind == "prepaid_volume" else None

    def stretches(self, called: CalledAs) -> Iterator[Stretch]:
        """Cut the time of a name where its calls have another price."""
        route = self.routes.get(called.route) if called.route is not None else None
        if route is None:
            yield Stretch(called.start, called.end, self, called, None)
            return
        for start, end, bucket in route.stretches(called.start, called.end):
            yield Stretch(start, end, self, called, bucket)

    def enter(self, stretch: Stretch, at: datetime) -> Take:
        """Begin to count the events of a stretch, the first of which is ``at``; how each is to be counted."""
        self.called.add(stretch.called)
        takes: list[Take] = [metered.take for metered in self._metered]
        if stretch.bucket is not None:
            takes.append(self._counting(stretch.bucket, at))
        if len(takes) > 1:
            return partial(_take_all, takes)
        return takes[0] if takes else pass_over

    def usage(self) -> tuple[tuple[UsedPrice, ...], list[PricedUsage]]:
        """The prices that were used, routes first and by name, and what was used of each that is no fee."""
        if self._prepaid is not None:
            self._prepaid.settle()
        routes = [(price, route) for route in self._priced() if (price := route.priced(self.currency))]
        routes.sort(key=lambda one: (one[0].name, one[0].price))
        used = [route.usage(price) for price, route in routes]
        return (
            (*(price for price, _ in routes), *self._prices),
            used + [metered.usage() for metered in self._metered],
        )

    def problems(self) -> Iterator[str]:
        """What was used and is not charged although it might be expected to be."""
        part = self.part
        where = f"of the subscription {part.subscription} from {part.start.isoformat()} on"
        for route in self._priced():
            for currency, calls in route.foreign(self.currency).items():
                yield (
                    f"Calls of {route.price.name} ({calls}) {where} are priced in {currency} and not billed, for it is"
                    f" billed in {self.currency}: give it a plan in {currency}, or a price of its own."
                )
        for metered in self._metered:
            if metered.unread:
                yield (
                    f"Calls ({metered.unread}) {where} have nothing that the meter of {metered.price.name!r} can add,"
                    " and are not charged by it: look at the field that it reads."
                )

    def _priced(self) -> list[RouteUsage]:
        return [route for route in self.routes.values() if route is not None]

    def _counting(self, bucket: Bucket, at: datetime) -> Take:
        if bucket.first is None:
            bucket.first = at
        if self.currency is None:
            self.currency = bucket.currency
        is_charged = bucket.row is not None and bucket.currency in {None, self.currency}
        if self._prepaid is not None and is_charged:
            return partial(self._prepaid.take, bucket)
        return bucket.take


class Stretch(Struct, frozen=True):
    """A time in which all events of a name count alike, into ``bucket`` (None: they have no price)."""

    start: datetime
    end: datetime
    usage: PartUsage
    called: CalledAs
    bucket: Bucket | None


def pass_over(_: UsageEvent) -> None:
    """Do nothing with an event."""


def _take_all(takes: Sequence[Take], event: UsageEvent) -> None:
    for take in takes:
        take(event)


def _volume(part: ChargedPart) -> int:
    """How many millionths of a call are paid for in the part."""
    share = part.share if rate_card(part.plan).prorated else 1
    return int(Fraction(part.plan.amount or 0) * share * MICRO + HALF)
