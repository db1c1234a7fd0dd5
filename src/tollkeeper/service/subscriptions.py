"""The life of a subscription: begun, paused, resumed, changed, cancelled."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Any

from msgspec import Meta, Struct, field

from tollkeeper.billing.plan import Plan
from tollkeeper.billing.product import Api, ApiVersion
from tollkeeper.billing.subscription import Subscription
from tollkeeper.billing.terms import PlanChange
from tollkeeper.errors import ConflictError, UnprocessableError
from tollkeeper.events.ids import record_id
from tollkeeper.events.timestamps import EPOCH
from tollkeeper.service.customer_search import find_customer
from tollkeeper.service.fields import Name, Time
from tollkeeper.service.limits import NewLimit, check_overrides, set_limits
from tollkeeper.service.listing import find_named

if TYPE_CHECKING:
    from tollkeeper.service.audit import Edit

__all__ = ["NewSubscription", "plan_change", "subscribe"]


class NewSubscription(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A subscription to be made: ``customer`` by id or external id, the others by id or name.

    Without an ``api`` it is to every API, without a ``version`` to all versions. ``started_at`` may lie in the past;
    ``trial_days`` are the plan's when left out. ``overrides`` may have ``limits``, ``rates`` and ``on_failure``, which
    take the place of the plan's.
    """

    customer: Name
    plan: Name
    api: Name | None = None
    version: Name | None = None
    started_at: Time | None = None
    trial_days: Annotated[int, Meta(ge=0, le=3650)] | None = None
    has_quota_limits: bool = False
    limits: list[NewLimit] = []
    overrides: dict[str, Any] = field(default_factory=dict)


def subscribe(edit: Edit, new: NewSubscription) -> Subscription:
    """Begin a subscription; one to the same that has not ended raises ConflictError, else UnprocessableError."""
    customer = find_customer(edit.records, new.customer)
    plan = find_named(edit.records, Plan, new.plan, "name")
    api = find_named(edit.records, Api, new.api, "name") if new.api is not None else None
    if new.version is not None and api is None:
        raise UnprocessableError("A version is named without its api: name the api, too.")
    version = find_named(edit.records, ApiVersion, new.version, "name", api=api.id) if new.version and api else None
    started_at = new.started_at or edit.now
    if not EPOCH <= started_at <= edit.now:
        raise UnprocessableError("started_at is not between 1970 and now: leave it out to begin now.")
    days = plan.trial_days if new.trial_days is None else new.trial_days
    trial_ends_at = started_at + timedelta(days=days) if days else None
    subscription = Subscription(
        id=record_id("sub"),
        customer=customer.id,
        api=api.id if api else None,
        version=version.id if version else None,
        started_at=started_at,
        trial_ends_at=trial_ends_at,
        anchor=trial_ends_at or started_at,
        has_quota_limits=new.has_quota_limits,
        overrides=check_overrides(new.overrides),
        created_at=edit.now,
    )
    _check_alone(edit, subscription)
    edit.add(subscription)
    edit.add(plan_change(edit, subscription, plan, started_at))
    set_limits(edit, subscription, new.limits)
    return subscription


def _check_alone(edit: Edit, new: Subscription) -> None:
    for other in edit.records.find(Subscription, customer=new.customer, api=new.api, version=new.version):
        if other.ended_at is None or other.ended_at > new.started_at:
            until = f"until {other.ended_at.isoformat()}" if other.ended_at else "without an end"
            raise ConflictError(f"The customer has the subscription {other.id} to the same {until}: change that one.")


def plan_change(edit: Edit, subscription: Subscription, plan: Plan, effective_at: datetime) -> PlanChange:
    """The record that a plan holds from a time on."""
    return PlanChange(
        id=record_id("chg"),
        subscription=subscription.id,
        plan=plan.id,
        effective_at=effective_at,
        created_at=edit.now,
    )
