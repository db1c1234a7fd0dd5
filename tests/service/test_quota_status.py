from __future__ import annotations

import threading
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy as sa

from support.quotas import LONG, NAMES, Limited, open_limited, use
from support.stores import store_url
from tollkeeper.billing.limit import Limit, Rate
from tollkeeper.errors import InvalidRequestError
from tollkeeper.service.audit import editing
from tollkeeper.service.bootstrap import Service, open_service
from tollkeeper.service.customers import NewCustomer, create_customer
from tollkeeper.service.grants import NewGrant, grant_units
from tollkeeper.service.plans import NewPlan, create_plan
from tollkeeper.service.quota_list import list_quotas
from tollkeeper.service.subscription_life import SubscriptionPatch, update_subscription
from tollkeeper.service.subscriptions import NewSubscription, subscribe
from tollkeeper.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tollkeeper.service.quota_status import QuotaStatus


@pytest.fixture(params=["memory", "sqlite"])
def service(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Service]:
    service = open_service(Settings(store=store_url(request.param, tmp_path)))
    yield service
    service.close()


@pytest.fixture
def limited(service: Service) -> Limited:
    return open_limited(service)


def found(service: Service, **options: Any) -> list[QuotaStatus]:
    return list_quotas(service.catalog, service.quotas, **{"limit": 1000} | options).items


def one(service: Service, subscription: str, name: str = "all month") -> QuotaStatus:
    (status,) = (status for status in found(service, subscription=subscription) if status.name == name)
    return status


def test_a_quota_is_the_limit_with_what_was_granted_and_carried_over(service: Service, limited: Limited) -> None:
    subscription = limited.subscriptions["Globex"]
    use(service, subscription, "all month", Decimal("0.5"), held=4, carried=75_000)
    status = one(service, subscription)
    amounts = [status.limit, status.granted, status.carried, status.quota, status.used, status.held, status.remaining]
    assert amounts == [100_000, 25_000, 75_000, 200_000, 100_000, 4, 99_996]
    assert (status.share, status.state, status.hard, status.plan) == (0.5, "ok", True, "gold")
    assert (status.customer_name, status.api, status.endpoint, status.period) == ("Globex", "forecasts", None, "month")
    assert status.start < status.end
    assert status.rates == ["50 a second, 200 at once", "600 a minute of /forecasts/{id}/raster-tiles"]


def test_the_state_says_how_full_it_is(service: Service, limited: Limited) -> None:
    states = {name: one(service, sub).state for name, sub in limited.subscriptions.items()}
    exceeded, near = {"Hooli", "Cyberdyne Systems"}, {"Globex", "Umbrella Health", LONG, "Stark & Töchter"}
    assert states == {name: "exceeded" if name in exceeded else "near" if name in near else "ok" for name in NAMES}
    assert {status.state for status in found(service, state="near")} == {"near"}
    assert {status.customer_name for status in found(service, state="exceeded")} == exceeded
    over = one(service, limited.subscriptions["Cyberdyne Systems"])
    assert (over.share, int(over.remaining), over.hard) == (1.374, 0, False)


def test_only_what_goes_on_is_listed(service: Service, limited: Limited) -> None:
    assert {status.subscription for status in found(service)} == set(limited.subscriptions.values())
    assert len(found(service, customers=[limited.customers["Initech Analytics"]])) == 2
    assert found(service, customers=[]) == found(service, subscription="sub_0") == []


def test_grants_and_overrides_are_those_of_their_limit(service: Service, limited: Limited) -> None:
    subscription = limited.subscriptions["Acme Ltd"]
    overrides = {
        "limits": [{"limit": None}, {"limit": 0, "period": "billing"}],
        "rates": [{"rate": None}, {"rate": 7, "api": "forecasts", "endpoint": "/x"}],
    }
    with editing(service.catalog, "ann") as edit:
        grant_units(edit, subscription, NewGrant(limit="/forecasts/{id} day", units=Decimal("0.5")))
        update_subscription(edit, subscription, SubscriptionPatch(overrides=overrides))
    assert [status.name for status in found(service, subscription=subscription)] == [
        "/forecasts/{id} day",
        "all billing",
    ]
    assert one(service, subscription, "/forecasts/{id} day").quota == Decimal("5000.5")
    nothing = one(service, subscription, "all billing")
    assert (int(nothing.quota), nothing.share, nothing.state) == (0, 1.0, "exceeded")
    assert nothing.rates == ["600 a minute of /forecasts/{id}/raster-tiles", "7 a second of /x of forecasts"]
    assert len(found(service, subscription=limited.subscriptions["Hooli"])) == 2


@pytest.mark.parametrize("order", ["made", "fullest"])
@pytest.mark.parametrize("limit", [1, 4, 1000])
def test_pages_have_each_quota_once(
    service: Service, limited: Limited, monkeypatch: pytest.MonkeyPatch, order: Any, limit: int
) -> None:
    monkeypatch.setattr("tollkeeper.service.quota_list.CHUNK", 5)
    whole = found(service, order=order)
    assert len(whole) == 23
    seen: list[QuotaStatus] = []
    after: str | None = None
    while True:
        listed = list_quotas(service.catalog, service.quotas, order=order, after=after, limit=limit)
        seen += listed.items
        after = listed.next
        if after is None:
            break
        assert len(listed.items) == limit
    assert seen == whole
    shares = [status.share for status in seen]
    assert (shares == sorted(shares, reverse=True)) == (order == "fullest")
    some = [limited.customers["Hooli"], limited.customers["Globex"]]
    first = list_quotas(service.catalog, service.quotas, order=order, customers=some, limit=2)
    rest = list_quotas(service.catalog, service.quotas, order=order, customers=some, after=first.next)
    assert len({(status.subscription, status.name) for status in first.items + rest.items}) == 4
    # A cursor of a subscription that is not asked for shows nothing of it.
    other = list_quotas(service.catalog, service.quotas, order=order, customers=some[:1], after=first.next)
    assert {status.customer for status in other.items} <= {some[0]}


@pytest.mark.parametrize("cursor", ["x", "nan|a|b", "inf|a|b", "0.0|a", "|a|b", "1e999|a|b"])
def test_a_cursor_that_no_page_gave_is_refused(service: Service, cursor: str) -> None:
    with pytest.raises(InvalidRequestError, match="take it from the page before"):
        found(service, after=cursor)


def test_a_limit_outside_its_bounds_is_refused(service: Service) -> None:
    with pytest.raises(InvalidRequestError, match="give 1 to 1000"):
        found(service, limit=0)


def test_strange_cursors_are_read(service: Service, limited: Limited) -> None:
    assert len(found(service, after="0.0|\0|\ud800")) == 23
    assert found(service, after="-1|zzz|") == []
    assert limited.customers


def test_as_many_queries_for_many_as_for_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    service = open_service(Settings(store=store_url("sqlite", tmp_path)))
    asked: list[str] = []
    execute, me = sa.Connection.execute, threading.get_ident()

    def counted(self: sa.Connection, statement: Any, *more: Any, **named: Any) -> Any:
        if threading.get_ident() == me:  # the jobs of another test's service may be at work
            asked.append(str(statement))
        return execute(self, statement, *more, **named)

    def sell(count: int) -> None:
        with editing(service.catalog, "ann") as edit:
            for _ in range(count):
                customer = create_customer(edit, NewCustomer(name="somebody"))
                subscribe(edit, NewSubscription(customer=customer.id, plan="gold"))

    with editing(service.catalog, "ann") as edit:
        create_plan(edit, NewPlan(name="gold", limits=[Limit(limit=5)], rates=[Rate(rate=5)]))
    sell(1)
    monkeypatch.setattr(sa.Connection, "execute", counted)
    assert len(found(service)) == 1
    few = len(asked)
    sell(40)
    asked.clear()
    assert len(found(service, order="fullest")) == 41
    assert len(asked) == few <= 12
    service.close()
