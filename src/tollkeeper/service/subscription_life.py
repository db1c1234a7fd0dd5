"""What may happen to a subscription after it has begun."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from msgspec import UNSET, Struct, UnsetType
from msgspec.structs import replace

from tollkeeper.billing.customer import Customer
from tollkeeper.billing.plan import Plan
from tollkeeper.billing.subscription import Subscription, SubscriptionPause, check_action, state_at
from tollkeeper.billing.terms import PlanChange, billing_period, plan_at
from tollkeeper.events.ids import record_id
from tollkeeper.service.limits import NewLimit, check_overrides, set_limits
from tollkeeper.service.listing import find_named, find_record
from tollkeeper.service.subscriptions import plan_change

if TYPE_CHECKING:
    from datetime import datetime

    from tollkeeper.service.audit import Edit
    from tollkeeper.store.protocols import Records

__all__ = ["SubscriptionPatch", "cancel", "change_plan", "set_paused", "update_subscription"]


class SubscriptionPatch(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is to be changed of a subscription; ``limits`` take the place of all that it has."""

    has_quota_limits: bool | UnsetType = UNSET
    limits: list[NewLimit] | UnsetType = UNSET
    overrides: dict[str, Any] | UnsetType = UNSET


def update_subscription(edit: Edit, subscription_id: str, patch: SubscriptionPatch) -> Subscription:
    """Change limits and overrides; raises NotFoundError, ConflictError or UnprocessableError."""
    old = find_record(edit.records, Subscription, subscription_id)
    check_action("change", _state(edit, old))
    new = replace(
        old,
        has_quota_limits=old.has_quota_limits if patch.has_quota_limits is UNSET else patch.has_quota_limits,
        overrides=old.overrides if patch.overrides is UNSET else check_overrides(patch.overrides),
    )
    edit.replace(old, new)
    if patch.limits is not UNSET:
        set_limits(edit, old, patch.limits)
    return new


def set_paused(edit: Edit, subscription_id: str, *, paused: bool) -> Subscription:
    """Stop serving for a while, or serve again; raises NotFoundError, or ConflictError when it is so already."""
    subscription = find_record(edit.records, Subscription, subscription_id)
    check_action("pause" if paused else "resume", _state(edit, subscription))
    if paused:
        edit.add(SubscriptionPause(id=record_id("pau"), subscription=subscription.id, paused_at=edit.now))
    else:
        (pause,) = edit.records.find(SubscriptionPause, subscription=subscription.id, resumed_at=None)
        edit.replace(pause, replace(pause, resumed_at=edit.now))
    return subscription


def cancel(edit: Edit, subscription_id: str, *, at_once: bool = False) -> Subscription:
    """End a subscription with its period, which is served until then, or ``at_once``; also one that is cancelled.

    Raises NotFoundError, or ConflictError when it has ended, or is cancelled and shall end with its period.
    """
    old = find_record(edit.records, Subscription, subscription_id)
    check_action("end" if at_once else "cancel", _state(edit, old))
    ended_at = edit.now if at_once else _period_end(edit, old)
    new = replace(old, cancelled_at=old.cancelled_at or edit.now, ended_at=ended_at)
    edit.replace(old, new)
    return new


def change_plan(edit: Edit, subscription_id: str, plan_name: str, *, at_once: bool = False) -> Subscription:
    """Have another plan from the next period on, or ``at_once``, instead of what was to come.

    At once, both plans are charged for their parts of the period. The plan in force undoes what was to come.

    Raises NotFoundError, ConflictError or UnprocessableError.
    """
    subscription = find_record(edit.records, Subscription, subscription_id)
    check_action("change the plan of", _state(edit, subscription))
    plan = find_named(edit.records, Plan, plan_name, "name")
    changes = edit.records.find(PlanChange, subscription=subscription.id)
    effective_at = edit.now if at_once else _period_end(edit, subscription)
    for change in changes:
        if change.effective_at > edit.now:
            edit.remove(change)
    if plan.id != plan_at(changes, edit.now):
        edit.add(plan_change(edit, subscription, plan, effective_at))
    return subscription


def _state(edit: Edit, subscription: Subscription) -> Any:
    pauses = edit.records.find(SubscriptionPause, subscription=subscription.id)
    return state_at(subscription, pauses, edit.now)


def _period_end(edit: Edit, subscription: Subscription) -> datetime:
    records: Records = edit.records
    changes = records.find(PlanChange, subscription=subscription.id)
    plans = {plan.id: plan for plan in records.find(Plan, id=[change.plan for change in changes])}
    customer = find_record(records, Customer, subscription.customer)
    return billing_period(subscription, changes, plans, customer.time_zone, edit.now).end
