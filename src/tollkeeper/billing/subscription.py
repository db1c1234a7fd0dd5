"""A customer's use of APIs under a plan, and its life.

trial → active ⇄ paused → cancelled (served until the period ends) → ended. A subscription is kept as the dates of what
happened and of what is to happen, so its state at any time is read from them, and nothing has to run when a trial ends.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal

from msgspec import Struct, field

from tollkeeper.errors import ConflictError

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["Subscription", "SubscriptionPause", "check_action", "is_served", "state_at"]

State = Literal["trial", "active", "paused", "cancelled", "ended"]
Action = Literal["pause", "resume", "cancel", "end", "change the plan of", "change"]

SERVED: frozenset[State] = frozenset({"trial", "active", "cancelled"})
ALLOWED: dict[Action, frozenset[State]] = {
    "pause": frozenset({"trial", "active"}),
    "resume": frozenset({"paused"}),
    "cancel": frozenset({"trial", "active", "paused"}),
    "end": frozenset({"trial", "active", "paused", "cancelled"}),
    "change the plan of": frozenset({"trial", "active", "paused"}),
    "change": frozenset({"trial", "active", "paused", "cancelled"}),
}


class Subscription(Struct, frozen=True, kw_only=True):
    """A customer's right to an API: ``api`` None is every API, ``version`` None every version of it; both are ids.

    ``anchor`` is where billing periods are counted from. ``ended_at`` may lie in the future.
    """

    id: str
    customer: str
    api: str | None = None
    version: str | None = None
    started_at: datetime
    trial_ends_at: datetime | None = None
    anchor: datetime
    cancelled_at: datetime | None = None
    ended_at: datetime | None = None
    has_quota_limits: bool = False
    overrides: dict[str, Any] = field(default_factory=dict)
    created_at: datetime


class SubscriptionPause(Struct, frozen=True, kw_only=True):
    """A time in which a subscription serves nothing; it lasts while ``resumed_at`` is None."""

    id: str
    subscription: str
    paused_at: datetime
    resumed_at: datetime | None = None


def state_at(subscription: Subscription, pauses: Iterable[SubscriptionPause], at: datetime) -> State | None:
    """The state at a time; None before the start. A change counts from its very moment on."""
    if at < subscription.started_at:
        return None
    if subscription.ended_at is not None and subscription.ended_at <= at:
        return "ended"
    for pause in pauses:
        if pause.paused_at <= at and (pause.resumed_at is None or at < pause.resumed_at):
            return "paused"
    if subscription.cancelled_at is not None and subscription.cancelled_at <= at:
        return "cancelled"
    return "trial" if subscription.trial_ends_at is not None and at < subscription.trial_ends_at else "active"


def is_served(state: State | None) -> bool:
    """Whether calls are welcome in a state."""
    return state in SERVED


def check_action(action: Action, state: State | None) -> None:
    """Refuse what the state does not allow; raises ConflictError."""
    if state not in ALLOWED[action]:
        allowed = ", ".join(sorted(ALLOWED[action]))
        raise ConflictError(f"Cannot {action} a subscription that is {state or 'not begun'}: it must be {allowed}.")
