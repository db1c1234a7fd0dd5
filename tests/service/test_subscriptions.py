"""The life of a subscription, told by a clock that is put forward."""

from __future__ import annotations

import contextlib
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from support.stores import ENGINES, store_url
from tollkeeper.billing.limit import Limit
from tollkeeper.billing.plan import Plan
from tollkeeper.billing.subscription import Subscription, SubscriptionPause
from tollkeeper.billing.terms import PlanChange, RouteLimit
from tollkeeper.errors import ConflictError, NotFoundError, UnprocessableError
from tollkeeper.service.audit import Edit, editing
from tollkeeper.service.bootstrap import open_service
from tollkeeper.service.customers import CustomerPatch, NewCustomer, create_customer, update_customer
from tollkeeper.service.limits import NewLimit
from tollkeeper.service.plans import NewPlan, PlanPatch, create_plan, update_plan
from tollkeeper.service.products import NewApi, create_api, create_version
from tollkeeper.service.subscription_life import (
    SubscriptionPatch,
    cancel,
    change_plan,
    set_paused,
    update_subscription,
)
from tollkeeper.service.subscription_views import SubscriptionView, show_subscriptions
from tollkeeper.service.subscriptions import NewSubscription, subscribe
from tollkeeper.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tollkeeper.service.bootstrap import Service

DAY = timedelta(days=1)


class Life:
    """A catalogue with one customer, who is ``acme``, at a time that passes when it is told to."""

    def __init__(self, service: Service) -> None:
        self.service = service
        self.now = datetime(2026, 1, 31, 12, tzinfo=UTC)
        with self.edit() as edit:
            self.customer = create_customer(edit, NewCustomer(name="Acme", external_id="acme"))
            for name, period in (("free", "month"), ("gold", "month"), ("daily", "day")):
                create_plan(edit, msgspec.convert({"name": name, "period": period}, NewPlan))
            create_version(edit, create_api(edit, NewApi(name="orders")).id, NewApi(name="v1"))

    @contextlib.contextmanager
    def edit(self) -> Iterator[Edit]:
        with editing(self.service.catalog, "test") as edit:
            edit.now = self.now
            yield edit

    def begin(self, **values: Any) -> str:
        wanted = msgspec.convert({"customer": "acme", "plan": "free"} | values, NewSubscription)
        return self.do(lambda edit: subscribe(edit, wanted)).id

    def do(self, verb: Callable[[Edit], Subscription]) -> Subscription:
        with self.edit() as edit:
            found: Subscription = verb(edit)
        return found

    def see(self, subscription: str) -> SubscriptionView:
        with self.service.catalog.reading() as records:
            return show_subscriptions(records, records.find(Subscription, id=subscription), self.now)[0]

    def find(self, kind: type[Any]) -> list[Any]:
        with self.service.catalog.reading() as records:
            return records.find(kind)


@pytest.fixture(params=ENGINES)
def life(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Life]:
    service = open_service(Settings(store=store_url(request.param, tmp_path)))
    yield Life(service)
    service.close()


def test_a_subscription_lives(life: Life) -> None:
    one = life.begin(api="orders", version="v1", trial_days=14)
    states = []
    for passed, verb in (
        (0, None),
        (1, lambda edit: set_paused(edit, one, paused=True)),
        (1, lambda edit: set_paused(edit, one, paused=False)),
        (12, None),
        (5, lambda edit: set_paused(edit, one, paused=True)),
        (5, lambda edit: set_paused(edit, one, paused=False)),
        (1, lambda edit: cancel(edit, one)),
        (99, None),
    ):
        life.now += passed * DAY
        if verb:
            life.do(verb)
        states.append(life.see(one).state)

    assert states == ["trial", "paused", "trial", "active", "paused", "active", "cancelled", "ended"]
    shown = life.see(one)
    assert (shown.api, shown.version, shown.plan, shown.period) == ("orders", "v1", "free", None)
    assert shown.ended_at == datetime(2026, 3, 14, 12, tzinfo=UTC)
    assert len(shown.pauses) == 2


def test_periods_begin_on_the_customers_calendar(life: Life) -> None:
    one = life.begin()
    seen = []
    for _ in range(3):
        period = life.see(one).period
        assert period is not None
        seen.append((period.start.month, period.start.day))
        life.now = period.end

    assert seen == [(1, 31), (2, 28), (3, 31)]


def test_a_plan_changes_with_the_next_period(life: Life) -> None:
    one = life.begin()
    life.now += 3 * DAY
    life.do(lambda edit: change_plan(edit, one, "gold"))
    life.do(lambda edit: change_plan(edit, one, "daily"))
    planned = life.see(one)
    assert (planned.plan, [change.plan for change in planned.plans]) == ("free", ["free", "daily"])
    assert planned.plans[1].effective_at == datetime(2026, 2, 28, 12, tzinfo=UTC)

    life.now = datetime(2026, 3, 1, 13, tzinfo=UTC)
    shown = life.see(one)
    assert shown.plan == "daily"
    assert shown.period is not None
    assert (shown.period.start.day, shown.period.end.day) == (1, 2)


def test_a_plan_changes_at_once_when_asked(life: Life) -> None:
    one = life.begin()
    life.do(lambda edit: change_plan(edit, one, "daily"))
    life.now += 3 * DAY
    life.do(lambda edit: change_plan(edit, one, "gold", at_once=True))

    shown = life.see(one)
    assert (shown.plan, [change.plan for change in shown.plans]) == ("gold", ["free", "gold"])
    assert shown.plans[1].effective_at == life.now
    assert shown.period is not None
    assert (shown.period.start.day, shown.period.end.day) == (31, 28)  # the period goes on

    life.do(lambda edit: change_plan(edit, one, "gold", at_once=True))
    assert len(life.find(PlanChange)) == 2


def test_the_plan_in_force_undoes_a_change(life: Life) -> None:
    one = life.begin()
    life.do(lambda edit: change_plan(edit, one, "gold"))
    life.do(lambda edit: change_plan(edit, one, "free"))

    assert [change.plan for change in life.see(one).plans] == ["free"]
    assert len(life.find(PlanChange)) == 1


def test_one_subscription_to_the_same_at_a_time(life: Life) -> None:
    one = life.begin(api="orders")
    life.begin()
    life.begin(api="orders", version="v1")
    with pytest.raises(ConflictError, match="without an end"):
        life.begin(api="orders")
    life.do(lambda edit: cancel(edit, one))
    with pytest.raises(ConflictError, match="until 2026-02-28"):
        life.begin(api="orders")

    life.now = datetime(2026, 2, 28, 12, tzinfo=UTC)
    again = life.begin(api="orders")
    assert (life.see(one).state, life.see(again).state) == ("ended", "active")


def test_a_subscription_ends_at_once(life: Life) -> None:
    one = life.begin()
    life.now += DAY
    life.do(lambda edit: cancel(edit, one))
    life.do(lambda edit: cancel(edit, one, at_once=True))

    shown = life.see(one)
    assert (shown.state, shown.ended_at) == ("ended", life.now)
    for verb in (
        lambda edit: cancel(edit, one),
        lambda edit: cancel(edit, one, at_once=True),
        lambda edit: set_paused(edit, one, paused=True),
        lambda edit: change_plan(edit, one, "gold"),
        lambda edit: update_subscription(edit, one, SubscriptionPatch()),
    ):
        with pytest.raises(ConflictError, match="that is ended"):
            life.do(verb)


def test_a_subscription_may_have_begun_in_the_past_but_not_later(life: Life) -> None:
    one = life.begin(started_at="2025-12-31T12:00:00+01:00")
    assert life.see(one).started_at == datetime(2025, 12, 31, 11, tzinfo=UTC)
    for wrong in ("2026-02-01T00:00:00Z", "1969-12-31T00:00:00Z"):
        with pytest.raises(UnprocessableError, match="started_at"):
            life.begin(api="orders", started_at=wrong)


@pytest.mark.parametrize(
    "values",
    [{"customer": "x"}, {"plan": "x"}, {"api": "x"}, {"api": "orders", "version": "x"}, {"version": "v1"}],
)
def test_what_does_not_exist_cannot_be_subscribed(life: Life, values: dict[str, str]) -> None:
    with pytest.raises(UnprocessableError):
        life.begin(**values)
    assert life.find(Subscription) == []


def test_limits_and_overrides_are_replaced(life: Life) -> None:
    one = life.begin(has_quota_limits=True, limits=[{"limit": 5}, {"limit": 7, "endpoint": "/a", "period": "day"}])
    kept = life.find(RouteLimit)
    patch = SubscriptionPatch(
        limits=[NewLimit(limit=5), NewLimit(limit=8, endpoint="/a", period="day")], overrides={"floor": "1"}
    )
    life.do(lambda edit: update_subscription(edit, one, patch))

    shown = life.see(one)
    assert [(limit.endpoint, limit.limit) for limit in shown.limits] == [(None, 5), ("/a", 8)]
    assert (shown.has_quota_limits, shown.overrides) == (True, {"floor": "1"})
    assert life.find(RouteLimit)[0] == kept[0]
    life.do(lambda edit: update_subscription(edit, one, SubscriptionPatch(has_quota_limits=False, limits=[])))
    assert (life.see(one).has_quota_limits, life.see(one).limits) == (False, [])
    life.do(lambda edit: update_subscription(edit, one, SubscriptionPatch(overrides={})))
    assert life.see(one).overrides == {}
    for wrong, message in (
        ({"limits": [{"limit": -1}]}, r">= 0 in `overrides\.limits\[0\]\.limit`"),
        ({"rates": 5}, r"Expected `array`, got `int` in `overrides\.rates`"),
        ({"rates": [{"rate": 1}, {"rate": None}]}, "Two rates are called 'all per second'"),
    ):
        with pytest.raises(UnprocessableError, match=message):
            life.begin(overrides=wrong)
        with pytest.raises(UnprocessableError, match=message):
            life.do(lambda edit, wrong=wrong: update_subscription(edit, one, SubscriptionPatch(overrides=wrong)))  # type: ignore[misc]  # bound
    lifted = {"limits": [{"limit": None, "period": "month"}], "floor": "1"}
    life.do(lambda edit: update_subscription(edit, one, SubscriptionPatch(overrides=lifted)))
    assert life.see(one).overrides == {"limits": [{"limit": None}], "floor": "1"}
    twice = SubscriptionPatch(limits=[NewLimit(limit=5), NewLimit(limit=8)])
    with pytest.raises(UnprocessableError, match="same endpoint"):
        life.do(lambda edit: update_subscription(edit, one, twice))


def test_nothing_can_be_done_to_what_is_not_there(life: Life) -> None:
    with pytest.raises(NotFoundError, match="subscription"):
        life.do(lambda edit: set_paused(edit, "sub_none", paused=True))
    assert life.find(SubscriptionPause) == []


def test_what_somebody_pays_by_is_not_changed_under_them(life: Life) -> None:
    life.begin()
    (plan,) = (plan for plan in life.find(Plan) if plan.name == "free")
    with life.edit() as edit:
        changed = update_plan(edit, plan.id, PlanPatch(name="gratis", trial_days=3, limits=[Limit(limit=9)]))
    assert (changed.name, changed.trial_days, changed.body) == ("gratis", 3, {"limits": [{"limit": 9}]})
    with pytest.raises(ConflictError, match="its period cannot be changed"), life.edit() as edit:
        update_plan(edit, plan.id, PlanPatch(period="day"))
    with pytest.raises(ConflictError, match="the time zone has to stay"), life.edit() as edit:
        update_customer(edit, life.customer.id, CustomerPatch(time_zone="Europe/Berlin"))
