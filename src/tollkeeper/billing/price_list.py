"""The prices that hold for a part of a customer's: those of the routes and of the plan, and the customer's own."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tollkeeper.billing.customer_rows import is_free, overridden, route_rows
from tollkeeper.billing.models.flat_fee import FlatFee
from tollkeeper.billing.price_rows import check_rows
from tollkeeper.billing.rate_card import rate_card
from tollkeeper.billing.route_usage import RouteUsage
from tollkeeper.billing.statement import UsedPrice

if TYPE_CHECKING:
    from tollkeeper.billing.account import CustomerAccount
    from tollkeeper.billing.price_rows import PriceRow
    from tollkeeper.billing.product import Api, ApiRoute, ApiVersion
    from tollkeeper.billing.resolve import Resolution, Resolver
    from tollkeeper.billing.statement import ChargedPart

__all__ = ["PriceList"]

Rows = tuple["PriceRow", ...]


class PriceList:
    """The prices of one account, by part."""

    def __init__(self, account: CustomerAccount, resolver: Resolver) -> None:
        self._account, self._resolver = account, resolver
        self._listed: dict[str, Rows] = {}

    def of_plan(self, part: ChargedPart) -> tuple[list[UsedPrice], list[str]]:
        """The prices in the body of the part's plan, and what is wrong with them."""
        prices, problems = [], []
        for one in rate_card(part.plan).prices:
            own = self._own(part, one.name)
            if own and isinstance(own[0].price, FlatFee) != (one.meter is None):
                problems.append(
                    f"The price {one.name!r} of the subscription {part.subscription}'s own is no price for the one of"
                    f" the plan {part.plan.name!r}, as one of them alone is a flat fee, and the plan's is charged: end"
                    " the other."
                )
                own = ()
            rows = _in_time(_with_own(one.rows, own), part)
            meter = self._account.meters.get(one.meter) if one.meter is not None else None
            if one.meter is not None and meter is None:
                problems.append(
                    f"The price {one.name!r} of the plan {part.plan.name!r} is of the meter {one.meter!r}, which"
                    f" there is not, and the subscription {part.subscription} is not charged by it: make the meter."
                )
            elif rows:
                prices.append(
                    UsedPrice(
                        name=one.name, price=one.name, rows=rows, meter=meter, maximum=one.maximum, taxes=one.taxes
                    )
                )
        return prices, problems

    def of_route(self, part: ChargedPart, found: Resolution) -> RouteUsage | None:
        """What calls of a route cost in the part, to be counted; None when it has no price."""
        api, version, route = found.api, found.version, found.route
        if api is None or version is None or route is None:
            return None
        own, listed = self._own(part, route.id), self._of_route(route.id)
        rows = _in_time(_with_own(listed, own), part)
        if not rows:
            return None
        # What is free is so in every currency, and what is the customer's own is in theirs.
        currency = next((price.currency for price in self._resolver.prices(route.id) if price.price), None)
        currencies = {row: currency for row in rows if currency is not None and row not in own and not is_free(row)}
        return RouteUsage(UsedPrice(name=self._name(api, version, route), price=route.id, rows=rows), currencies)

    def _of_route(self, route: str) -> Rows:
        if route not in self._listed:
            self._listed[route] = route_rows(self._resolver.prices(route))
        return self._listed[route]

    def _own(self, part: ChargedPart, price: str) -> Rows:
        own = self._account.own_prices.get(part.subscription, {}).get(price, ())
        return check_rows(own) if own else ()

    def _name(self, api: Api, version: ApiVersion, route: ApiRoute) -> str:
        product = (api.name, version.name) if len(self._account.facts.versions) > 1 else ()
        return " ".join((*product, *([route.method] if route.method else []), route.endpoint or "other routes"))


def _with_own(listed: Rows, own: Rows) -> Rows:
    return overridden(listed, own) if listed and own else listed or own


def _in_time(rows: Rows, part: ChargedPart) -> Rows:
    return tuple(row for row in rows if row.valid_from < part.end and row.valid_to > part.start)
