"""Units that are added to one period of a limit, told by a clock that is put forward."""

from __future__ import annotations

import contextlib
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from support.stores import store_url
from tollkeeper.billing.limit import QuotaGrant
from tollkeeper.errors import ConflictError, NotFoundError, UnprocessableError
from tollkeeper.service.audit import Edit, editing
from tollkeeper.service.bootstrap import open_service
from tollkeeper.service.customers import NewCustomer, create_customer
from tollkeeper.service.grants import GrantView, NewGrant, find_grant, grant_units, show_grants
from tollkeeper.service.plans import NewPlan, create_plan
from tollkeeper.service.subscription_life import SubscriptionPatch, cancel, change_plan, update_subscription
from tollkeeper.service.subscriptions import NewSubscription, subscribe
from tollkeeper.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tollkeeper.service.bootstrap import Service

DAY = timedelta(days=1)
START = datetime(2026, 1, 31, 12, tzinfo=UTC)
PLANS: list[dict[str, Any]] = [
    {"name": "free", "limits": [{"limit": 10, "period": "billing"}]},
    {"name": "gold", "limits": [{"limit": 100}], "rates": [{"rate": 5}]},
]


class Granting:
    """A subscription to the plan ``free`` of a customer in Berlin, at a time that passes when it is told to."""

    def __init__(self, service: Service) -> None:
        self.service = service
        self.now = START
        with self.edit() as edit:
            create_customer(edit, NewCustomer(name="Acme", external_id="acme", time_zone="Europe/Berlin"))
            for plan in PLANS:
                create_plan(edit, msgspec.convert(plan, NewPlan))
            self.subscription = subscribe(edit, NewSubscription(customer="acme", plan="free")).id

    @contextlib.contextmanager
    def edit(self) -> Iterator[Edit]:
        with editing(self.service.catalog, "ann") as edit:
            edit.now = self.now
            yield edit

    def grant(self, **values: Any) -> QuotaGrant:
        with self.edit() as edit:
            return grant_units(edit, self.subscription, NewGrant(**values))

    def shown(self) -> list[GrantView]:
        with self.service.catalog.reading() as records:
            return show_grants(records, records.find(QuotaGrant, subscription=self.subscription))


@pytest.fixture(params=["memory", "sqlite"])
def granting(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Granting]:
    service = open_service(Settings(store=store_url(request.param, tmp_path)))
    yield Granting(service)
    service.close()


def test_a_grant_adds_to_the_period_of_its_time(granting: Granting) -> None:
    granting.now += 3 * DAY
    made = granting.grant(limit="all billing", units=Decimal("1.5"), note="sorry")
    granting.grant(limit="all billing", units=Decimal(20), at=START + 30 * DAY)

    assert (made.units, made.at, made.created_at) == (1_500_000, granting.now, granting.now)
    first, second = granting.shown()
    assert (first.id, first.units, first.note) == (made.id, Decimal("1.5"), "sorry")
    assert first.period is not None
    assert second.period is not None
    assert (first.period.start, first.period.end) == (START, datetime(2026, 2, 28, 12, tzinfo=UTC))
    assert second.period.start == first.period.end
    assert second.units == 20


def test_the_limits_are_those_of_the_plan_at_that_time_and_of_the_subscription(granting: Granting) -> None:
    with granting.edit() as edit:
        change_plan(edit, granting.subscription, "gold")
    with pytest.raises(UnprocessableError, match="Its limits are: 'all billing'"):
        granting.grant(limit="all month", units=Decimal(1))

    granting.grant(limit="all month", units=Decimal(1), at=START + 40 * DAY)
    (view,) = granting.shown()
    assert view.period is not None
    assert view.period.start == datetime(2026, 2, 28, 23, tzinfo=UTC)  # midnight in Berlin
    with granting.edit() as edit:
        lifted = SubscriptionPatch(overrides={"limits": [{"limit": None}]})
        update_subscription(edit, granting.subscription, lifted)
    assert granting.shown()[0].period is None
    with pytest.raises(UnprocessableError, match="Its limits are: none"):
        granting.grant(limit="all month", units=Decimal(1), at=START + 40 * DAY)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"units": Decimal(0)}, "more than 0"),
        ({"units": Decimal(-1)}, "more than 0"),
        ({"units": Decimal("NaN")}, "more than 0"),
        ({"units": Decimal(10**12 + 1)}, "1,000,000,000,000 at most"),
        ({"units": Decimal("0.0000001")}, "up to 6 decimals"),
        ({"units": Decimal("1." + "0" * 40 + "1")}, "up to 6 decimals"),
        ({"units": Decimal(1), "at": START - DAY}, "between the start"),
        ({"units": Decimal(1), "limit": "all per second"}, "has no limit 'all per second'"),
    ],
)
def test_what_cannot_be_granted(granting: Granting, values: dict[str, Any], message: str) -> None:
    with pytest.raises(UnprocessableError, match=message):
        granting.grant(**({"limit": "all billing"} | values))
    assert granting.shown() == []


def test_nothing_is_granted_to_what_has_ended_or_is_not_there(granting: Granting) -> None:
    made = granting.grant(limit="all billing", units=Decimal(10**12))
    with granting.edit() as edit:
        cancel(edit, granting.subscription, at_once=True)
    with pytest.raises(ConflictError, match="ended"):
        granting.grant(limit="all billing", units=Decimal(1))
    with granting.edit() as edit:
        with pytest.raises(NotFoundError, match="sub_none"):
            grant_units(edit, "sub_none", NewGrant(limit="all billing", units=Decimal(1)))
        with pytest.raises(NotFoundError, match="'sub_none' has no grant"):
            find_grant(edit.records, "sub_none", made.id)
        assert find_grant(edit.records, granting.subscription, made.id) == made
