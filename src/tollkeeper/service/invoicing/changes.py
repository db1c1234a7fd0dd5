"""What was made in the catalogue after an invoice was final, and changes what its calls cost."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

from tollkeeper.billing.product import ApiRoute, RoutePrice
from tollkeeper.store.selling import SubscriptionPrice

if TYPE_CHECKING:
    from datetime import datetime

    from tollkeeper.billing.charging import CustomerAccount
    from tollkeeper.billing.statement import CalledAs, ChargedPart
    from tollkeeper.service.invoicing.late import RouteName

__all__ = ["NewPrices", "new_prices"]


class NewPrices(Struct, frozen=True, kw_only=True):
    """Routes and prices that were made since a time, of the products and of some subscriptions."""

    routes: list[ApiRoute]
    prices: list[RoutePrice]
    own: list[SubscriptionPrice]

    def __bool__(self) -> bool:
        return bool(self.routes or self.prices or self.own)

    def matter_to(self, part: ChargedPart, since: datetime) -> bool:
        """Whether one that was made since a time has other calls of the part cost something, or something else."""
        routes = {call.route for call in part.calls}
        return (
            any(one.created_at >= since and one.route in routes and one.valid_from < part.end for one in self.prices)
            or any(
                one.created_at >= since and one.subscription == part.subscription and one.valid_from < part.end
                for one in self.own
            )
            or any(one.created_at >= since and _takes(one, call) for one in self.routes for call in part.calls)
        )

    def calls_before(self, account: CustomerAccount, end: datetime) -> frozenset[RouteName]:
        """The calls before a time, by endpoint and method (None: any), that may cost something else."""
        dated = {one.route for one in self.prices if one.valid_from < end} | {one.id for one in self.routes}
        return frozenset((one.endpoint, one.method) for one in account.facts.routes if one.id in dated)


def new_prices(account: CustomerAccount, own: list[SubscriptionPrice], since: datetime) -> NewPrices:
    """What was made since a time, for an account with all prices of its subscriptions' own."""
    ids = {one.id for one in account.facts.subscriptions}
    return NewPrices(
        routes=[one for one in account.facts.routes if one.created_at >= since],
        prices=[one for one in account.facts.prices if one.created_at >= since],
        own=[one for one in own if one.created_at >= since and one.subscription in ids],
    )


def _takes(route: ApiRoute, call: CalledAs) -> bool:
    """Whether a route may be the one for calls that were another's, or nobody's."""
    if call.route == route.id:
        return False
    return route.endpoint in {None, call.endpoint} and route.method in {None, call.method}
