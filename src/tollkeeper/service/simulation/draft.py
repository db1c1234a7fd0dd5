"""A draft of what is to be sold: a plan in the place of those that customers have, and prices of routes."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import msgspec
from msgspec import Meta, Struct
from msgspec.structs import replace

from tollkeeper.billing.currencies import check_currency
from tollkeeper.billing.plan import Plan
from tollkeeper.billing.price import check_amount, check_new_price
from tollkeeper.billing.product import RoutePrice
from tollkeeper.errors import UnprocessableError
from tollkeeper.events.ids import record_id
from tollkeeper.metering.definition import MeterDefinition
from tollkeeper.metering.meter import Meter
from tollkeeper.service.audit import editing
from tollkeeper.service.catalog_file import CatalogFile, FileRoute
from tollkeeper.service.plans import NewPlan, create_plan
from tollkeeper.store.catalog.memory import MemoryRecordStore

if TYPE_CHECKING:
    from tollkeeper.billing.account import CustomerAccount
    from tollkeeper.billing.resolve import Facts
    from tollkeeper.store.protocols import Records

__all__ = ["Draft", "Drafted", "draft_of", "drafted", "make_draft"]


class Draft(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is to be tried out; at least one of both."""

    plan: NewPlan | None = None
    routes: Annotated[list[FileRoute], Meta(max_length=10_000)] = []
    meters: Annotated[list[Meter], Meta(max_length=100)] = []


class Drafted(Struct, frozen=True, kw_only=True):
    """A draft that was checked: the ``plan`` stands for those with the ids ``replaces``, None for all plans.

    ``prices`` take the place of all that a route has, by its id.
    """

    plan: Plan | None
    replaces: frozenset[str] | None
    prices: Mapping[str, list[RoutePrice]]
    meters: Mapping[str, Meter]

    def changes(self, plan: Plan) -> bool:
        """Whether a plan is another one under the draft."""
        return self.plan is not None and (self.replaces is None or plan.id in self.replaces)


def draft_of(catalog: CatalogFile) -> Draft:
    """The draft in a catalogue file; raises UnprocessableError when it has another number of plans than one or none."""
    if len(catalog.plan) > 1:
        raise UnprocessableError(f"The draft has {len(catalog.plan)} plans: leave one, which is tried out.")
    return Draft(plan=next(iter(catalog.plan), None), routes=catalog.route, meters=catalog.meter)


def make_draft(records: Records, facts: Facts, draft: Draft, replaces: Plan | None) -> Drafted:
    """Check a draft against the catalogue, as if it were to be made; raises UnprocessableError or ConflictError."""
    if draft.plan is None and not draft.routes:
        raise UnprocessableError("The draft is empty: give a plan, or routes with prices.")
    with editing(MemoryRecordStore(), "simulation") as edit:  # a catalogue that nobody sees, and the checks of the real
        known = [one for one in records.find(MeterDefinition) if one.name not in {meter.name for meter in draft.meters}]
        for definition in known:
            edit.add(definition)
        for meter in draft.meters:
            body = msgspec.to_builtins(meter)
            edit.add(MeterDefinition(id=record_id("mtr"), name=meter.name, body=body, created_at=edit.now))
        plan = None if draft.plan is None else create_plan(edit, draft.plan)
    return Drafted(
        plan=plan,
        replaces=None if replaces is None else frozenset({replaces.id}),
        prices={route_id: _prices(route_id, route) for route in draft.routes for route_id in [_route_id(facts, route)]},
        meters={meter.name: meter for meter in draft.meters},
    )


def drafted(account: CustomerAccount, draft: Drafted) -> CustomerAccount:
    """The account as if the draft held, and had always held."""
    facts = account.facts
    plans, prices = facts.plans, facts.prices
    if draft.plan is not None:
        plans = [_in_place(draft.plan, plan) if draft.changes(plan) else plan for plan in plans]
    if draft.prices:
        kept = [price for price in prices if price.route not in draft.prices]
        prices = [*kept, *(price for rows in draft.prices.values() for price in rows)]
    return replace(account, facts=replace(facts, plans=plans, prices=prices), meters={**account.meters, **draft.meters})


def _in_place(plan: Plan, old: Plan) -> Plan:
    return replace(plan, id=old.id, created_at=old.created_at)


def _route_id(facts: Facts, route: FileRoute) -> str:
    apis = {api.id: api.name for api in facts.apis}
    versions = {one.id: one.name for one in facts.versions if apis[one.api] == route.api and one.name == route.version}
    for one in facts.routes:
        if one.version in versions and (one.endpoint, one.method) == (route.endpoint, route.method):
            return one.id
    raise UnprocessableError(f"There is no route {route.title!r} to try prices on: make it first, or correct its name.")


def _prices(route_id: str, route: FileRoute) -> list[RoutePrice]:
    found: list[RoutePrice] = []
    for one in route.price:
        price = RoutePrice(
            id=record_id("prc"),
            route=route_id,
            price=check_amount("price", one.price),
            currency=check_currency(one.currency),
            valid_from=one.valid_from,
            created_at=datetime.now(UTC),
        )
        check_new_price(found, price)
        found.append(price)
    return found
