from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import get_args

import pytest

from tollkeeper.billing.customer import ApiKey, key_state_at
from tollkeeper.billing.period import BillingPeriod
from tollkeeper.billing.plan import Plan
from tollkeeper.billing.subscription import (
    State,
    Subscription,
    SubscriptionPause,
    check_action,
    is_served,
    state_at,
)
from tollkeeper.billing.terms import PlanChange, billing_period, plan_at
from tollkeeper.errors import ConflictError

START = datetime(2026, 1, 10, tzinfo=UTC)
DAY = timedelta(days=1)
MICROSECOND = timedelta(microseconds=1)


def subscription(**dates: datetime | None) -> Subscription:
    anchor = dates.get("trial_ends_at") or START
    return Subscription(
        id="sub",
        customer="cus",
        started_at=START,
        anchor=anchor,
        created_at=START,
        **dates,  # type: ignore[arg-type]  # dates alone
    )


def pause(first: int, last: int | None) -> SubscriptionPause:
    return SubscriptionPause(
        id="pau",
        subscription="sub",
        paused_at=START + first * DAY,
        resumed_at=None if last is None else START + last * DAY,
    )


def change(plan: str, day: int, identity: str = "chg") -> PlanChange:
    return PlanChange(id=identity, subscription="sub", plan=plan, effective_at=START + day * DAY, created_at=START)


def test_the_state_at_any_time_is_read_from_dates() -> None:
    whole = subscription(trial_ends_at=START + 10 * DAY, cancelled_at=START + 40 * DAY, ended_at=START + 60 * DAY)
    pauses = [pause(5, 12), pause(20, 25)]

    def state(day: int) -> State | None:
        return state_at(whole, pauses, START + day * DAY)

    assert [state(day) for day in (-1, 0, 4, 5, 11, 12, 19, 20, 24, 25, 39, 40, 59, 60, 99)] == [
        None,
        "trial",
        "trial",
        "paused",
        "paused",
        "active",
        "active",
        "paused",
        "paused",
        "active",
        "active",
        "cancelled",
        "cancelled",
        "ended",
        "ended",
    ]


def test_a_change_counts_from_its_very_moment_on() -> None:
    whole = subscription(trial_ends_at=START + DAY, ended_at=START + 2 * DAY)

    assert state_at(whole, (), START - MICROSECOND) is None
    assert state_at(whole, (), START + DAY - MICROSECOND) == "trial"
    assert state_at(whole, (), START + DAY) == "active"
    assert state_at(whole, (), START + 2 * DAY - MICROSECOND) == "active"
    assert state_at(whole, (), START + 2 * DAY) == "ended"


def test_a_pause_lasts_until_it_is_resumed_or_all_ends() -> None:
    paused = subscription(cancelled_at=START + 5 * DAY, ended_at=START + 9 * DAY)

    assert state_at(paused, [pause(3, None)], START + 8 * DAY) == "paused"
    assert state_at(paused, [pause(3, None)], START + 9 * DAY) == "ended"
    assert state_at(subscription(), (), START + 9_999 * DAY) == "active"


def test_calls_are_welcome_in_trial_active_and_cancelled() -> None:
    assert [state for state in get_args(State) if is_served(state)] == ["trial", "active", "cancelled"]
    assert not is_served(None)


@pytest.mark.parametrize(
    ("action", "allowed"),
    [
        ("pause", "trial active"),
        ("resume", "paused"),
        ("cancel", "trial active paused"),
        ("end", "trial active paused cancelled"),
        ("change the plan of", "trial active paused"),
        ("change", "trial active paused cancelled"),
    ],
)
def test_what_a_state_allows(action: str, allowed: str) -> None:
    for state in (*get_args(State), None):
        if state in allowed.split():
            check_action(action, state)  # type: ignore[arg-type]  # one of the list
        else:
            with pytest.raises(ConflictError, match=f"Cannot {action} a subscription that is {state or 'not begun'}"):
                check_action(action, state)  # type: ignore[arg-type]  # the same


def test_the_plan_at_any_time() -> None:
    changes = [change("gold", 30, "chg_2"), change("free", 0, "chg_1")]

    assert [plan_at(changes, START + day * DAY) for day in (-1, 0, 29, 30)] == [None, "free", "free", "gold"]


def plans(**periods: str) -> dict[str, Plan]:
    return {
        name: Plan(id=name, name=name, period=period, created_at=START)  # type: ignore[arg-type]  # a unit
        for name, period in periods.items()
    }


def test_the_trial_is_a_period_of_its_own() -> None:
    one = subscription(trial_ends_at=START + 14 * DAY)
    known = plans(free="month")

    assert billing_period(one, [change("free", 0)], known, "UTC", START) == BillingPeriod(START, START + 14 * DAY)
    after = billing_period(one, [change("free", 0)], known, "UTC", START + 14 * DAY)
    assert after == BillingPeriod(START + 14 * DAY, datetime(2026, 2, 24, tzinfo=UTC))


def test_another_length_of_period_counts_from_its_first_day() -> None:
    known = plans(free="month", gold="month", daily="day", yearly="year")
    changes = [change("free", 0, "a"), change("gold", 31, "b"), change("daily", 59, "c"), change("yearly", 60, "d")]

    def period(day: int) -> tuple[int, int]:
        found = billing_period(subscription(), changes, known, "UTC", START + day * DAY)
        return (found.start - START).days, (found.end - START).days

    assert [period(day) for day in (0, 31, 59, 60)] == [(0, 31), (31, 59), (59, 60), (60, 425)]


def test_a_key_is_good_until_it_expires_or_is_revoked() -> None:
    def key(**dates: datetime) -> ApiKey:
        return ApiKey(
            id="key",
            customer="cus",
            prefix="tk_",
            digest=b"",
            fingerprint="",
            created_at=START,
            **dates,  # type: ignore[arg-type]  # dates alone
        )

    assert key_state_at(key(), START + 9_999 * DAY) == "active"
    assert key_state_at(key(expires_at=START + DAY), START + DAY - MICROSECOND) == "active"
    assert key_state_at(key(expires_at=START + DAY), START + DAY) == "expired"
    assert key_state_at(key(revoked_at=START + DAY), START) == "active"
    assert key_state_at(key(revoked_at=START, expires_at=START), START) == "revoked"


def test_amounts_of_plans_are_exact() -> None:
    assert Plan(id="p", name="p", amount=Decimal("0.1"), created_at=START).amount == Decimal("0.1")
