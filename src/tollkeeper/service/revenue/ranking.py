"""Who and what brings the most: revenue by API, route, customer or plan."""

from __future__ import annotations

from collections import Counter, defaultdict
from decimal import Decimal
from typing import TYPE_CHECKING, Literal

from msgspec import Struct

from tollkeeper.billing.customer import Customer
from tollkeeper.billing.money import from_minor
from tollkeeper.billing.plan import Plan
from tollkeeper.billing.product import Api, ApiRoute, ApiVersion
from tollkeeper.errors import InvalidRequestError
from tollkeeper.service.revenue.credited import credited_lines
from tollkeeper.service.revenue.months import EARNED
from tollkeeper.store.invoices import InvoiceLine

if TYPE_CHECKING:
    from datetime import datetime

    from tollkeeper.store.protocols import Records

__all__ = ["RankedRevenue", "RevenueBy", "top_revenue"]

RevenueBy = Literal["api", "route", "customer", "plan"]
KINDS: dict[RevenueBy, type[Api | Customer | Plan]] = {"api": Api, "customer": Customer, "plan": Plan}
NONE: dict[RevenueBy, str] = {
    "api": "(no API)",
    "route": "(not by route)",
    "customer": "(nobody)",
    "plan": "(no plan)",
}


class RankedRevenue(Struct, frozen=True, kw_only=True):
    """A member of a ranking in one currency; ``key`` is its id, None for the lines that have none.

    ``share`` is that of all revenue in this currency, None when that is not above zero.
    """

    currency: str
    key: str | None
    name: str
    net: Decimal
    share: float | None


def top_revenue(
    records: Records, by: RevenueBy, start: datetime, end: datetime, limit: int = 10
) -> list[RankedRevenue]:
    """Rank the revenue of ``[start, end)``, up to ``limit`` members a currency, most first; currencies by their code.

    Lines count where their time begins, credit notes where they were issued. Raises InvalidRequestError for a time
    that ends before it starts.
    """
    if end <= start:
        raise InvalidRequestError("The time ends before it starts: give from < to.")
    found = Counter[tuple[str, str | None]](
        records.sums(InvoiceLine, "net", ("currency", by), start=start, end=end, state=EARNED)
    )
    for one in credited_lines(records, start, end):
        found[one.line.currency, getattr(one.line, by)] -= one.net
    currencies: defaultdict[str, list[tuple[int, str | None]]] = defaultdict(list)
    for (currency, key), net in found.items():
        currencies[currency].append((net, key))
    totals = {currency: sum(net for net, _ in members) for currency, members in currencies.items()}
    ranking = [
        (currency, *member)
        for currency, members in sorted(currencies.items())
        for member in sorted(members, key=lambda member: (-member[0], member[1] or ""))[:limit]
    ]
    names = _names(records, by, [key for *_, key in ranking if key is not None])
    return [
        RankedRevenue(
            currency=currency,
            key=key,
            name=NONE[by] if key is None else names.get(key, key),
            net=from_minor(net, currency),
            share=round(net / totals[currency], 4) if totals[currency] > 0 else None,
        )
        for currency, net, key in ranking
    ]


def _names(records: Records, by: RevenueBy, ids: list[str]) -> dict[str, str]:
    """What a person calls each; what is gone from the catalogue has no name."""
    if by != "route":
        return {one.id: one.name for one in records.find(KINDS[by], id=ids)}
    routes = records.find(ApiRoute, id=ids)
    versions = {one.id: one for one in records.find(ApiVersion, id=[route.version for route in routes])}
    apis = {one.id: one for one in records.find(Api, id=[version.api for version in versions.values()])}
    return {
        route.id: f"{apis[versions[route.version].api].name} {versions[route.version].name}"
        f" {route.method or 'any'} {route.endpoint or '(default)'}"
        for route in routes
    }
