"""Grants: units that somebody adds to one period of a subscription's limit."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Annotated

from msgspec import Meta, Struct

from tollkeeper.billing.customer import Customer
from tollkeeper.billing.limit import Limit, QuotaGrant, terms_of
from tollkeeper.billing.limit_window import limit_window
from tollkeeper.billing.period import BillingPeriod
from tollkeeper.billing.plan import Plan
from tollkeeper.billing.subscription import Subscription, SubscriptionPause, check_action, state_at
from tollkeeper.billing.terms import PlanChange, RouteLimit, plan_at
from tollkeeper.errors import NotFoundError, UnprocessableError
from tollkeeper.events.ids import record_id
from tollkeeper.events.timestamps import END
from tollkeeper.service.fields import Time
from tollkeeper.service.listing import find_record

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tollkeeper.service.audit import Edit
    from tollkeeper.store.protocols import Records

__all__ = ["GrantView", "NewGrant", "find_grant", "grant_units", "show_grants"]

MICRO = 1_000_000
DECIMALS = 6
MOST_UNITS = 10**12


class NewGrant(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Units to be added to a limit, by its name, in the period that ``at`` lies in; left out, in the one of now."""

    limit: Annotated[str, Meta(min_length=1, max_length=8192, description="Name of a limit, e.g. all month.")]
    units: Annotated[Decimal, Meta(description="More than 0; up to 6 decimals.")]
    at: Time | None = None
    note: Annotated[str, Meta(max_length=1000)] | None = None


class GrantView(Struct, frozen=True, kw_only=True):
    """A grant with the ``period`` that it adds to; null when the subscription has that limit no more."""

    id: str
    subscription: str
    limit: str
    units: Decimal
    at: datetime
    period: BillingPeriod | None
    note: str | None
    created_at: datetime


class _Limits:
    """The limits of a subscription at any time, read at one go."""

    def __init__(self, records: Records, subscription: Subscription) -> None:
        self._subscription = subscription
        self._changes = records.find(PlanChange, subscription=subscription.id)
        self._plans = {plan.id: plan for plan in records.find(Plan, id=[change.plan for change in self._changes])}
        self._own = records.find(RouteLimit, subscription=subscription.id)
        self._zone = find_record(records, Customer, subscription.customer).time_zone

    def at(self, moment: datetime) -> dict[str, Limit]:
        plan = self._plans.get(plan_at(self._changes, moment) or "")
        terms = terms_of(plan, self._subscription, self._own)
        return {limit.name: limit for limit in terms.limits if limit.limit is not None}

    def window(self, name: str, moment: datetime) -> BillingPeriod | None:
        limit = self.at(moment).get(name)
        if limit is None:
            return None
        return limit_window(limit, self._subscription, self._changes, self._plans, self._zone, moment)


def grant_units(edit: Edit, subscription_id: str, new: NewGrant) -> QuotaGrant:
    """Add units to a limit in one period; raises NotFoundError, ConflictError or UnprocessableError."""
    subscription = find_record(edit.records, Subscription, subscription_id)
    pauses = edit.records.find(SubscriptionPause, subscription=subscription.id)
    check_action("change", state_at(subscription, pauses, edit.now))
    at = new.at or edit.now
    if not subscription.started_at <= at < END:
        raise UnprocessableError("at is not between the start of the subscription and 9999: leave it out for now.")
    known = _Limits(edit.records, subscription).at(at)
    if new.limit not in known:
        names = ", ".join(repr(name) for name in known) or "none"
        raise UnprocessableError(f"The subscription has no limit {new.limit[:100]!r} then. Its limits are: {names}.")
    grant = QuotaGrant(
        id=record_id("gra"),
        subscription=subscription.id,
        limit=new.limit,
        units=_micro(new.units),
        at=at,
        note=new.note,
        created_at=edit.now,
    )
    edit.add(grant)
    return grant


def find_grant(records: Records, subscription_id: str, grant_id: str) -> QuotaGrant:
    """Find a grant of a subscription; raises NotFoundError."""
    grant = find_record(records, QuotaGrant, grant_id)
    if grant.subscription != subscription_id:
        raise NotFoundError(f"The subscription {subscription_id[:100]!r} has no grant {grant_id[:100]!r}.")
    return grant


def show_grants(records: Records, grants: Sequence[QuotaGrant]) -> list[GrantView]:
    """Grants of one subscription as they are shown, in the same order."""
    if not grants:
        return []
    limits = _Limits(records, find_record(records, Subscription, grants[0].subscription))
    return [_show(limits, grant) for grant in grants]


def _show(limits: _Limits, grant: QuotaGrant) -> GrantView:
    return GrantView(
        id=grant.id,
        subscription=grant.subscription,
        limit=grant.limit,
        units=Decimal(grant.units) / MICRO,
        at=grant.at,
        period=limits.window(grant.limit, grant.at),
        note=grant.note,
        created_at=grant.created_at,
    )


def _micro(units: Decimal) -> int:
    if not units.is_finite() or not 0 < units <= MOST_UNITS:
        raise UnprocessableError(f"units is {units}: give more than 0, and {MOST_UNITS:,} at most.")
    if units != round(units, DECIMALS):
        raise UnprocessableError(f"units is {units}: give up to {DECIMALS} decimals.")
    return int(units * MICRO)
