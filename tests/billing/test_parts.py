from __future__ import annotations

from datetime import UTC, datetime, timedelta
from fractions import Fraction
from itertools import pairwise
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from billing.accounts import DAY, END, START, account, at, plan, shares
from tollkeeper.billing.charging import CustomerAccount, billing_parts
from tollkeeper.billing.terms import PlanChange

if TYPE_CHECKING:
    from tollkeeper.billing.plan import Plan
    from tollkeeper.billing.statement import ChargedPart

GOLD, FREE = plan(), plan("free")


def october(*plans: Plan, **values: Any) -> list[tuple[Any, ...]]:
    return shares(billing_parts(account(*plans, **values), START, END))


def test_a_period_is_billed_with_the_month_that_it_ends_in() -> None:
    assert october() == [("gold", 0, 31, 1)]
    begun = account(subscription={"started_at": at(14), "anchor": at(14)})
    assert billing_parts(begun, START, END) == []
    (november,) = billing_parts(begun, END, END + 30 * DAY)
    assert (november.start, november.end, november.share) == (at(14), at(45), Fraction(1))


def test_a_plan_that_changes_at_once_makes_two_parts() -> None:
    assert october(GOLD, FREE, changes=[(10, "free")]) == [
        ("gold", 0, 10, Fraction(10, 31)),
        ("free", 10, 31, Fraction(21, 31)),
    ]


def test_a_plan_that_changes_with_the_period_makes_none() -> None:
    changed = account(GOLD, FREE, changes=[(31, "free")])
    assert shares(billing_parts(changed, START, END + 30 * DAY)) == [("gold", 0, 31, 1), ("free", 31, 61, 1)]


def test_the_same_plan_again_is_no_change() -> None:
    assert october(GOLD, FREE, changes=[(3, "gold"), (9, "free"), (9.5, "gold")]) == [
        ("gold", 0, 9, Fraction(9, 31)),
        ("free", 9, 9.5, Fraction(1, 62)),
        ("gold", 9.5, 31, Fraction(43, 62)),
    ]


def test_periods_of_another_length_begin_at_once_and_cut_the_one_before() -> None:
    weekly = plan("weekly", period="week")
    assert october(GOLD, weekly, changes=[(10, "weekly")]) == [
        ("gold", 0, 10, Fraction(10, 31)),
        ("weekly", 10, 17, 1),
        ("weekly", 17, 24, 1),
        ("weekly", 24, 31, 1),
    ]


def test_the_trial_is_in_no_part() -> None:
    trial = {"started_at": at(-20), "trial_ends_at": at(5), "anchor": at(5)}
    assert october(subscription=trial) == []
    assert october(subscription=trial | {"ended_at": at(4)}) == []
    longer = {"started_at": START, "trial_ends_at": at(10), "anchor": START}
    assert october(subscription=longer) == [("gold", 10, 31, Fraction(21, 31))]


def test_a_pause_has_no_share() -> None:
    assert october(pauses=[(3, 5), (20, None)]) == [("gold", 0, 31, Fraction(18, 31))]
    assert october(pauses=[(-9, 40)]) == [("gold", 0, 31, 0)]
    by_day = plan(body={"prorate_by": "day"})
    assert october(by_day, pauses=[(3.5, 3.9), (8.5, 10.5)]) == [("gold", 0, 31, Fraction(29, 31))]


def test_a_subscription_that_ends_has_a_last_part_and_no_other() -> None:
    ended = account(subscription={"started_at": START, "anchor": START, "ended_at": at(12.5)})
    assert shares(billing_parts(ended, START, END)) == [("gold", 0, 12.5, Fraction(25, 62))]
    assert billing_parts(ended, END, END + 90 * DAY) == []
    assert billing_parts(ended, START, at(12)) == []


def test_periods_are_counted_on_the_calendar_of_the_customer() -> None:
    zone = ZoneInfo("Europe/Berlin")
    begun = datetime(2026, 10, 1, tzinfo=zone).astimezone(UTC)
    berlin = account(subscription={"started_at": begun, "anchor": begun}, customer={"time_zone": "Europe/Berlin"})
    (part,) = billing_parts(berlin, begun, datetime(2026, 11, 1, tzinfo=zone))
    assert (part.start, part.end - part.start) == (begun, timedelta(days=31, hours=1))


def test_who_has_no_plan_is_not_billed() -> None:
    whole = account()
    gone = PlanChange(id="chg", subscription="sub", plan="gold", effective_at=at(10), created_at=START)
    for facts in (replace(whole.facts, changes=[]), replace(whole.facts, customers=[])):
        assert billing_parts(CustomerAccount(facts=facts), START, END) == []
    later = CustomerAccount(facts=replace(whole.facts, changes=[gone]))
    assert shares(billing_parts(later, START, END)) == [("gold", 10, 31, Fraction(21, 31))]


days = st.integers(0, 24 * 200).map(lambda hours: hours / 24)


@pytest.mark.timeout(60)
@settings(max_examples=60, deadline=None)
@given(
    st.data(),
    st.sampled_from(["UTC", "Europe/Berlin", "Pacific/Apia"]),
    st.lists(st.tuples(days.filter(bool), st.sampled_from(["month", "week", "day", "year", "other"])), max_size=4),
    st.one_of(st.none(), days),
)
def test_months_one_after_the_other_bill_each_moment_once(
    data: st.DataObject, zone: str, changes: list[tuple[float, str]], ended: float | None
) -> None:
    plans = [
        plan(name, period="month" if name == "other" else name) for name in ("month", "week", "day", "year", "other")
    ]
    trial = data.draw(st.sampled_from([0, 10]))
    about: dict[str, Any] = {"started_at": START, "trial_ends_at": at(trial), "anchor": at(trial)}
    ends = {} if ended is None else {"ended_at": at(ended)}
    customer = account(*plans, changes=changes, subscription=about | ends, customer={"time_zone": zone})
    edges = [datetime(2026 + n // 12, n % 12 + 1, 1, tzinfo=ZoneInfo(zone)) for n in range(8, 44)]
    found: list[ChargedPart] = [part for pair in pairwise(edges) for part in billing_parts(customer, *pair)]
    assert found == billing_parts(customer, edges[0], edges[-1])
    assert all(before.end == after.start for before, after in pairwise(found))
    assert all(0 < part.share <= 1 for part in found)
    if found:
        assert found[0].start == at(trial)
    if ended is not None and ended > trial:
        assert found[-1].end == at(ended)
