from __future__ import annotations

import sys
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from support.alerts import add_channel, add_rule, messages, opened
from support.usage import make_event
from tollkeeper.billing.counter import Counter
from tollkeeper.billing.failure import ApiError
from tollkeeper.billing.limit import Limit, QuotaGrant
from tollkeeper.billing.subscription import Subscription
from tollkeeper.events.codec import DecodedBatch
from tollkeeper.events.event import Consumer, Request
from tollkeeper.events.fingerprint import fingerprint
from tollkeeper.events.ids import record_id
from tollkeeper.events.timestamps import to_microseconds
from tollkeeper.service.alerts import denials
from tollkeeper.service.alerts.evaluating import evaluate
from tollkeeper.service.audit import editing
from tollkeeper.service.customers import NewCustomer, create_customer
from tollkeeper.service.keys import NewKey
from tollkeeper.service.plans import NewPlan, create_plan
from tollkeeper.service.products import NewApi, create_api
from tollkeeper.service.subscriptions import NewSubscription, subscribe

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tollkeeper.service.bootstrap import Service

NOW = datetime.now(UTC)
HOUR = timedelta(hours=1)
KEY, OTHER = "the-key-of-acme-0001", "the-key-of-acme-0002"
FINGERPRINT = fingerprint(KEY)


@pytest.fixture(autouse=True)
def _later(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let each test look from a while after its beginning: after all that it makes."""
    monkeypatch.setattr(sys.modules[__name__], "NOW", datetime.now(UTC) + timedelta(minutes=5))


@pytest.fixture
def service() -> Iterator[Service]:
    """Acme with two keys and a subscription to orders: 1,000 units a month, and 100 an hour of /orders."""
    service = opened()
    add_channel(service)
    limits = [Limit(limit=1000), Limit(limit=100, period="hour", api="orders", endpoint="/orders")]
    with editing(service.catalog, "test") as edit:
        create_api(edit, NewApi(name="orders"))
        create_plan(edit, NewPlan(name="gold", limits=limits))
        create_customer(edit, NewCustomer(name="Acme", external_id="acme"))
        for key in (KEY, OTHER):
            service.keys.create(edit, NewKey(customer="acme", key=key))
        subscribe(edit, NewSubscription(customer="acme", plan="gold", api="orders"))
    yield service
    service.close()


def ids(service: Service) -> tuple[str, str]:
    with service.catalog.reading() as records:
        (found,) = records.find(Subscription)
    return found.id, found.customer


def use(service: Service, units: float, name: str = "all month", **given: Any) -> None:
    subscription, _ = ids(service)
    start, end = (to_microseconds(NOW + days * timedelta(days=1)) for days in (-1, 20))
    facts = {"starts_at": start, "ends_at": end} | given
    counter = Counter(
        id=f"{subscription}|{name}|{facts['starts_at']}",
        subscription=subscription,
        used=int(units * 1_000_000),
        **facts,
    )
    with service.quotas.writing() as book:
        book.put([counter])


def said(service: Service) -> list[dict[str, Any]]:
    return [message.document for message in messages(service)]


def test_without_rules_nothing_is_said(service: Service) -> None:
    use(service, 1000)
    assert evaluate(service, NOW) == 0


def test_80_and_100_per_cent_of_a_limit_are_told_once_each(service: Service) -> None:
    add_rule(service, "quota")
    told = []
    for units in (1, 799.999999, 800, 999, 1000, 1001, 1000):
        use(service, units)
        told += [evaluate(service, NOW), evaluate(service, NOW)]
    assert told == [0, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 0, 0]
    first, second = said(service)
    assert (first["share"], second["share"]) == (0.8, 1.0)
    assert (first["used"], first["allowed"], first["limit"]) == (800, 1000, "all month")
    assert (first["customer_name"], first["api"], first["hard"]) == ("Acme", "orders", True)


def test_of_shares_that_are_passed_at_once_the_highest_is_told(service: Service) -> None:
    add_rule(service, "quota")
    use(service, 5000)
    assert evaluate(service, NOW) == 1
    assert said(service)[0]["share"] == 1.0


def test_a_new_period_is_told_of_anew(service: Service) -> None:
    add_rule(service, "quota", threshold=Decimal("0.5"))
    use(service, 500)
    assert evaluate(service, NOW) == 1
    later = NOW + timedelta(days=20)
    assert evaluate(service, later) == 0
    start, end = to_microseconds(later), to_microseconds(later + timedelta(days=30))
    use(service, 500, starts_at=start, ends_at=end)
    assert evaluate(service, later) == 1


def test_what_was_carried_and_granted_is_room(service: Service) -> None:
    add_rule(service, "quota", threshold=Decimal(1))
    subscription, _ = ids(service)
    grant = QuotaGrant(id="g1", subscription=subscription, limit="all month", units=500_000_000, at=NOW, created_at=NOW)
    with service.catalog.writing() as records:
        records.add(grant)
    use(service, 1599, carried=100_000_000)
    assert evaluate(service, NOW) == 0
    use(service, 1600, carried=100_000_000)
    assert evaluate(service, NOW) == 1
    assert said(service)[0]["allowed"] == 1600


@pytest.mark.parametrize(
    ("scope", "told"),
    [
        ({}, 2),
        ({"customer": "acme"}, 2),
        ({"customer": "other"}, 0),
        ({"api": "orders"}, 2),
        ({"api": "cars"}, 0),
        ({"api": "orders", "endpoint": "/orders"}, 1),
    ],
)
def test_quota_rules_have_scopes(service: Service, scope: dict[str, str], told: int) -> None:
    with editing(service.catalog, "test") as edit:
        create_api(edit, NewApi(name="cars"))
        create_customer(edit, NewCustomer(name="Other", external_id="other"))
    add_rule(service, "quota", **scope)
    use(service, 900)
    use(service, 90, "orders /orders hour")
    use(service, 90, "a limit that is gone")
    assert evaluate(service, NOW) == told


def send(service: Service, count: int, *, at: datetime | None = None, key: str = FINGERPRINT, **facts: Any) -> None:
    given: dict[str, Any] = {
        "time": (at or NOW) - timedelta(seconds=30), "route": "/orders", "api": "orders", "consumer": Consumer(key=key),
    }  # fmt: skip
    events = [make_event(record_id("e"), **given | facts) for _ in range(count)]
    service.events.append([("app", DecodedBatch(count, events, []))])


def test_an_error_rate_at_the_threshold_is_told_once_an_hour_while_it_lasts(service: Service) -> None:
    add_rule(service, "error_rate", threshold=Decimal("0.1"))
    send(service, 91)
    send(service, 9, status_code=500)
    assert evaluate(service, NOW) == 0
    send(service, 1, status_code=500)
    send(service, 9)
    send(service, 1, status_code=404)
    send(service, 1, status_code=404)
    assert evaluate(service, NOW) == 1
    assert evaluate(service, NOW + timedelta(minutes=1)) == 0
    assert evaluate(service, NOW + HOUR) == 0
    send(service, 10, at=NOW + HOUR, status_code=500)
    assert evaluate(service, NOW + HOUR) == 1
    first, second = said(service)
    assert (first["requests"], first["errors"], first["threshold"]) == (112, 12, 0.1)
    assert first["error_rate"] == pytest.approx(12 / 112, abs=1e-6)
    assert second["error_rate"] == 1.0


def test_a_handful_of_requests_says_nothing(service: Service) -> None:
    add_rule(service, "error_rate", threshold=Decimal("0.1"))
    add_rule(service, "latency", threshold=Decimal("0.1"))
    send(service, 9, status_code=500, request=Request(elapsed_time=9.0))
    assert evaluate(service, NOW) == 0
    send(service, 1, status_code=500, request=Request(elapsed_time=9.0))
    assert evaluate(service, NOW) == 2


def test_a_slow_95th_percentile_is_told(service: Service) -> None:
    add_rule(service, "latency", threshold=Decimal("0.5"), minutes=10)
    send(service, 95, request=Request(elapsed_time=0.1))
    send(service, 2, request=Request(elapsed_time=2.0))
    send(service, 50)  # not measured
    assert evaluate(service, NOW) == 0
    send(service, 8, request=Request(elapsed_time=2.0))
    assert evaluate(service, NOW) == 1
    (document,) = said(service)
    assert document["latency_p95"] == pytest.approx(2.0, rel=0.01)
    assert (document["requests"], document["minutes"]) == (105, 10)


@pytest.mark.parametrize(
    ("scope", "told"),
    [
        ({"api": "orders"}, 1),
        ({"api": "cars"}, 0),
        ({"api": "orders", "endpoint": "/orders"}, 1),
        ({"endpoint": "/cars"}, 0),
        ({"customer": "acme"}, 1),
        ({"customer": "other"}, 0),
        ({"customer": "acme", "endpoint": "/orders"}, 1),
    ],
)
@pytest.mark.parametrize("kind", ["error_rate", "silence"])
def test_traffic_rules_have_scopes(service: Service, kind: str, scope: dict[str, str], told: int) -> None:
    with editing(service.catalog, "test") as edit:
        create_api(edit, NewApi(name="cars"))
        create_customer(edit, NewCustomer(name="Other", external_id="other"))
    add_rule(service, kind, threshold=Decimal("0.5") if kind == "error_rate" else None, **scope)
    for key in (KEY, OTHER):
        send(service, 6, key=fingerprint(key), status_code=500)
    assert evaluate(service, NOW if kind == "error_rate" else NOW + HOUR) == told
    assert [one["customer_name"] for one in said(service)] == (["Acme"] if "customer" in scope else [None])[:told]


def test_a_silence_is_told_once_until_there_was_a_sound(service: Service) -> None:
    add_rule(service, "silence", minutes=10)
    minute = timedelta(minutes=1)
    assert evaluate(service, NOW + HOUR) == 0  # nothing ever came
    send(service, 3, at=NOW + HOUR)
    seen = NOW + HOUR - timedelta(seconds=30)
    assert evaluate(service, seen + 9 * minute) == 0
    assert [evaluate(service, seen + 10 * minute), evaluate(service, seen + 300 * minute)] == [1, 0]
    send(service, 1, at=NOW + 9 * HOUR)
    assert evaluate(service, NOW + 9 * HOUR) == 0
    assert evaluate(service, NOW + 10 * HOUR) == 1
    assert said(service)[0]["last_seen"] == seen.isoformat(timespec="seconds")


def test_a_silence_from_before_the_rule_is_heard_of_after_its_time(service: Service) -> None:
    send(service, 1, at=NOW - HOUR)
    add_rule(service, "silence", minutes=10)
    assert evaluate(service, NOW) == 0
    assert evaluate(service, NOW + timedelta(minutes=11)) == 1


def test_an_event_from_the_future_is_no_sound(service: Service) -> None:
    send(service, 1)
    send(service, 1, at=NOW + timedelta(days=400))
    add_rule(service, "silence", minutes=10)
    assert evaluate(service, NOW + timedelta(minutes=11)) == 1


def keep(service: Service, code: str, consumer: str | None, api: str | None = None, **given: Any) -> None:
    facts: dict[str, Any] = {"is_internal": True, "internal_error_status": 0}
    error = ApiError(
        id=record_id("err"), code=code, consumer=consumer, api=api, at=NOW, created_at=NOW, **facts | given
    )
    with service.catalog.writing() as records:
        records.add(error)


def test_reports_by_keys_that_are_not_in_force_are_told_once_an_hour_a_key(service: Service) -> None:
    add_rule(service, "invalid_subscription")
    now = datetime.now(UTC)
    keep(service, "no_subscription", FINGERPRINT, "orders")
    keep(service, "no_subscription", FINGERPRINT, "cars")
    keep(service, "unknown_api_key", fingerprint("x"))
    keep(service, "unknown_route", fingerprint("y"))
    keep(service, "unknown_api_key", None)
    keep(service, "unknown_api_key", fingerprint("z"), internal_error_status=1)
    keep(service, "no_subscription", fingerprint("w"), is_internal=False)
    assert [evaluate(service, now), evaluate(service, now)] == [2, 0]
    first, second = said(service)
    assert (first["consumer"], first["code"], first["api"]) == (FINGERPRINT, "no_subscription", "orders")
    assert first["customer_name"] == "Acme"
    assert (second["code"], second["customer"]) == ("unknown_api_key", None)


def test_old_reports_are_told_no_more(service: Service) -> None:
    keep(service, "no_subscription", FINGERPRINT)
    add_rule(service, "invalid_subscription")
    assert evaluate(service, datetime.now(UTC) + HOUR) == 0


def test_rules_for_invalid_subscriptions_have_scopes(service: Service) -> None:
    add_channel(service, "boss")
    add_rule(service, "invalid_subscription", "acme", customer="acme")
    add_rule(service, "invalid_subscription", "orders", api="orders", channels=["boss"])
    keep(service, "no_subscription", FINGERPRINT, "cars")
    keep(service, "unknown_api_key", fingerprint("x"), "orders")
    evaluate(service, datetime.now(UTC))
    assert [one["rule"] for one in said(service)] == ["acme", "orders"]


def test_a_flood_of_reports_hides_no_customer(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(denials, "MAX_ERRORS", 3)
    add_rule(service, "invalid_subscription")
    for number in range(5):
        keep(service, "unknown_api_key", fingerprint(str(number)))
    keep(service, "no_subscription", FINGERPRINT)
    evaluate(service, datetime.now(UTC))
    assert sorted(str(one["customer_name"]) for one in said(service)) == ["Acme", "None", "None", "None"]
