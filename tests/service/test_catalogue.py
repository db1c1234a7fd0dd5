"""The verbs of the catalogue and its audit log, on each engine."""

from __future__ import annotations

import re
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest

from tollkeeper.billing.customer import ApiKey, Customer, key_state_at
from tollkeeper.billing.product import Api, ApiRoute
from tollkeeper.errors import ConflictError, InvalidRequestError, NotFoundError, UnprocessableError
from tollkeeper.events.fingerprint import fingerprint
from tollkeeper.service.audit import editing
from tollkeeper.service.bootstrap import Service, open_service
from tollkeeper.service.customers import CustomerPatch, NewCustomer, create_customer, update_customer
from tollkeeper.service.key_format import check_key, new_key
from tollkeeper.service.keys import NewKey
from tollkeeper.service.listing import list_records
from tollkeeper.service.plans import NewPlan, PlanPatch, create_plan, update_plan
from tollkeeper.service.products import NewApi, create_api, create_version, ensure_version
from tollkeeper.service.routes import NewPrice, NewRoute, create_price, create_route, set_retired
from tollkeeper.service.views import show_routes
from tollkeeper.settings import Settings
from tollkeeper.store.audit import AuditEntry

HOUR = timedelta(hours=1)


@pytest.fixture
def customer(service: Service) -> Customer:
    with editing(service.catalog, "ann") as edit:
        return create_customer(edit, NewCustomer(name="Acme", external_id="acme"))


def audit(service: Service, **where: Any) -> list[AuditEntry]:
    with service.catalog.reading() as records:
        return records.find(AuditEntry, **where)


def test_a_customer_is_made_and_changed_and_the_audit_log_says_so(service: Service, customer: Customer) -> None:
    with editing(service.catalog, "bob") as edit:
        changed = update_customer(edit, customer.id, CustomerPatch(name="New", external_id=None, currency="EUR"))
    with editing(service.catalog, "eve") as edit:
        assert update_customer(edit, customer.id, CustomerPatch(name="New")) == changed

    assert (changed.name, changed.external_id, changed.currency) == ("New", None, "EUR")
    first, second = audit(service, record=customer.id)
    assert (first.actor, first.action, first.kind, first.before) == ("ann", "create", "customer", None)
    assert (second.actor, second.action) == ("bob", "update")
    assert second.before is not None
    assert second.after is not None
    assert (second.before["name"], second.after["name"]) == ("Acme", "New")


def test_what_raises_leaves_no_audit_entry_either(service: Service) -> None:
    def fail() -> None:
        with editing(service.catalog, "ann") as edit:
            create_customer(edit, NewCustomer(name="Acme"))
            raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        fail()
    assert audit(service) == []


def test_what_is_taken_away_is_in_the_audit_log(service: Service, customer: Customer) -> None:
    with editing(service.catalog, "ann") as edit:
        edit.remove(customer)
    last = audit(service)[-1]

    assert (last.action, last.after) == ("delete", None)
    assert last.before is not None
    assert last.before["name"] == "Acme"


def test_a_customer_that_cannot_be(service: Service, customer: Customer) -> None:
    with editing(service.catalog, "ann") as edit:
        with pytest.raises(ConflictError, match="acme"):
            create_customer(edit, NewCustomer(name="Other", external_id="acme"))
        for zone in ("Mars/Olympus", "../etc/passwd", "", "/etc/localtime"):
            with pytest.raises(UnprocessableError, match="time_zone"):
                create_customer(edit, NewCustomer(name="Other", time_zone=zone))
        with pytest.raises(NotFoundError, match="cus_none"):
            update_customer(edit, "cus_none", CustomerPatch())
        other = create_customer(edit, NewCustomer(name="Other"))
        with pytest.raises(ConflictError, match="acme"):
            update_customer(edit, other.id, CustomerPatch(external_id="acme"))
    assert update_of(service, customer).time_zone == "Asia/Kolkata"


def update_of(service: Service, customer: Customer) -> Customer:
    with editing(service.catalog, "ann") as edit:
        return update_customer(edit, customer.id, CustomerPatch(time_zone="Asia/Kolkata", external_id="acme"))


def test_a_key_is_kept_hashed(service: Service, customer: Customer) -> None:
    with editing(service.catalog, "ann") as edit:
        key, secret = service.keys.create(edit, NewKey(customer="acme"))
    with service.catalog.reading() as records:
        assert records.find(ApiKey) == [key]
        assert service.keys.find(records, secret) == key
        assert service.keys.find(records, secret[:-1] + ("y" if secret.endswith("x") else "x")) is None
        assert service.keys.find(records, "\ud800") is None

    assert re.fullmatch(r"tk_[0-9A-Za-z]{49}", secret)
    assert (key.customer, key.prefix, key.fingerprint) == (customer.id, secret[:8], fingerprint(secret))
    assert "digest" not in str(audit(service, record=key.id)[0].after)
    assert secret not in str(audit(service))


def test_the_whole_key_is_compared_not_its_fingerprint_alone(service: Service, customer: Customer) -> None:
    with editing(service.catalog, "ann") as edit:
        edit.add(
            ApiKey(
                id="key_1",
                customer=customer.id,
                prefix="another-",
                digest=b"another",
                fingerprint=fingerprint("a-key-of-their-own"),
                created_at=edit.now,
            )
        )
        assert service.keys.find(edit.records, "a-key-of-their-own") is None


def test_the_hash_is_keyed(service: Service) -> None:
    with editing(service.catalog, "ann") as edit:
        mine = create_customer(edit, NewCustomer(name="a")).id
        key, _ = service.keys.create(edit, NewKey(customer=mine, key="a-key-of-their-own"))
    other = open_service(Settings(store="memory:"))
    with editing(other.catalog, "ann") as edit:
        theirs = create_customer(edit, NewCustomer(name="a")).id
        same, _ = other.keys.create(edit, NewKey(customer=theirs, key="a-key-of-their-own"))

    assert same.fingerprint == key.fingerprint
    assert same.digest != key.digest


@pytest.mark.usefixtures("customer")
def test_a_key_that_cannot_be(service: Service) -> None:
    with editing(service.catalog, "ann") as edit:
        wrong = new_key()[:-1] + "!"
        mistyped = new_key()
        mistyped = mistyped[:10] + ("a" if mistyped[10] != "a" else "b") + mistyped[11:]
        for secret, message in ((wrong[:12], "16 to 512"), ("a key with a space", "spaces"), (mistyped, "checksum")):
            with pytest.raises(UnprocessableError, match=message) as caught:
                service.keys.create(edit, NewKey(customer="acme", key=secret))
            assert secret not in caught.value.detail
        late = datetime(9999, 12, 31, 23, tzinfo=timezone(-14 * HOUR))
        for wrong_time in (edit.now, late):
            with pytest.raises(UnprocessableError, match="expires_at"):
                service.keys.create(edit, NewKey(customer="acme", expires_at=wrong_time))
        with pytest.raises(UnprocessableError, match="nobody"):
            service.keys.create(edit, NewKey(customer="nobody"))
        service.keys.create(edit, NewKey(customer="acme", key="a-key-of-their-own"))
        with pytest.raises(ConflictError, match="registered already"):
            service.keys.create(edit, NewKey(customer="acme", key="a-key-of-their-own"))


def test_every_key_that_we_make_passes_its_own_check() -> None:
    keys = [new_key() for _ in range(200)]
    assert [check_key(key) for key in keys] == keys
    assert len(set(keys)) == 200


@pytest.mark.usefixtures("customer")
def test_a_key_is_rotated_with_overlap_and_revoked(service: Service) -> None:
    with editing(service.catalog, "ann") as edit:
        first, old_secret = service.keys.create(edit, NewKey(customer="acme", expires_at=edit.now + 5 * HOUR))
        second, new_secret = service.keys.rotate(edit, first.id, overlap=HOUR)
        began = edit.now
    with service.catalog.reading() as records:
        old, new = (service.keys.find(records, secret) for secret in (old_secret, new_secret))
    assert old is not None
    assert new == second
    assert (old.replaced_by, old.expires_at, second.expires_at) == (second.id, began + HOUR, began + 5 * HOUR)
    assert [key_state_at(old, began + passed * HOUR) for passed in (0, 1)] == ["active", "expired"]

    with editing(service.catalog, "ann") as edit:
        with pytest.raises(ConflictError, match="was rotated already"):
            service.keys.rotate(edit, first.id, overlap=HOUR)
        third, _ = service.keys.rotate(edit, second.id, overlap=99 * HOUR)
        revoked = service.keys.revoke(edit, third.id)
        assert service.keys.revoke(edit, third.id) == revoked
        with pytest.raises(ConflictError, match="is revoked"):
            service.keys.rotate(edit, third.id, overlap=HOUR)
        with pytest.raises(NotFoundError):
            service.keys.revoke(edit, "key_none")
    with service.catalog.reading() as records:
        kept = records.get(ApiKey, second.id)
    assert kept is not None
    assert kept.expires_at == began + 5 * HOUR


def test_products_are_made_once(service: Service) -> None:
    with editing(service.catalog, "ann") as edit:
        api = create_api(edit, NewApi(name="orders"))
        version = create_version(edit, "orders", NewApi(name="v1"))
        assert ensure_version(edit, "orders", "v1") == version
        assert version.api == api.id
        with pytest.raises(ConflictError, match="orders"):
            create_api(edit, NewApi(name="orders"))
        with pytest.raises(ConflictError, match="v1"):
            create_version(edit, api.id, NewApi(name="v1"))
        with pytest.raises(UnprocessableError, match="maps"):
            create_version(edit, "maps", NewApi(name="v1"))
        assert ensure_version(edit, "maps", "v1").name == "v1"


def test_a_route_has_a_price_from_the_beginning_and_others_later(service: Service) -> None:
    with editing(service.catalog, "ann") as edit:
        ensure_version(edit, "orders", "v1")
        route = create_route(edit, NewRoute(api="orders", version="v1", price=Decimal("0.10"), currency="EUR"))
        create_price(edit, route.id, NewPrice(price=Decimal("0.2"), currency="EUR"))
        create_price(edit, route.id, NewPrice(price=Decimal("0.3"), currency="EUR", valid_from=edit.now + HOUR))
        now = edit.now

        def shown(at: Any) -> str | None:
            price = show_routes(edit.records, [route], at)[0].price
            return None if price is None else str(price)

        assert [shown(now + passed * HOUR) for passed in (-9_999, 0, 1)] == ["0.10", "0.2", "0.3"]
        with pytest.raises(ConflictError, match="never edited"):
            create_price(edit, route.id, NewPrice(price=Decimal(1), currency="EUR", valid_from=now))
        early = now - timedelta(days=36_500)
        with pytest.raises(UnprocessableError, match="1970"):
            create_price(edit, route.id, NewPrice(price=Decimal(1), currency="EUR", valid_from=early))
        # In UTC, this is in the year 10,000, which no calendar of ours has.
        late = datetime(9999, 12, 31, 23, tzinfo=timezone(-14 * HOUR))
        with pytest.raises(UnprocessableError, match="9999"):
            create_price(edit, route.id, NewPrice(price=Decimal(1), currency="EUR", valid_from=late))
        with pytest.raises(NotFoundError):
            create_price(edit, "rte_none", NewPrice(price=Decimal(1), currency="EUR"))


def test_a_route_that_cannot_be(service: Service) -> None:
    with editing(service.catalog, "ann") as edit:
        ensure_version(edit, "orders", "v1")
        create_route(edit, NewRoute(api="orders", version="v1", endpoint="/a", method="GET"))
        create_route(edit, NewRoute(api="orders", version="v1", endpoint="/a"))
        with pytest.raises(ConflictError, match="GET /a"):
            create_route(edit, NewRoute(api="orders", version="v1", endpoint="/a", method="GET"))
    for wrong in (
        NewRoute(api="maps", version="v1"),
        NewRoute(api="orders", version="v2"),
        NewRoute(api="orders", version="v1", price=Decimal(1)),
        NewRoute(api="orders", version="v1", price=Decimal("NaN"), currency="EUR"),
    ):
        with pytest.raises(UnprocessableError), editing(service.catalog, "ann") as edit:
            create_route(edit, wrong)
    with service.catalog.reading() as records:
        assert len(records.find(ApiRoute)) == 2


def test_a_route_is_retired_and_opened_again(service: Service) -> None:
    with editing(service.catalog, "ann") as edit:
        ensure_version(edit, "orders", "v1")
        route = create_route(edit, NewRoute(api="orders", version="v1"))
        retired = set_retired(edit, route.id, retired=True)
        assert retired.retired_at == edit.now
        assert set_retired(edit, route.id, retired=True) == retired
        assert set_retired(edit, route.id, retired=False) == route


def test_a_plan_is_made_and_changed(service: Service) -> None:
    with editing(service.catalog, "ann") as edit:
        plan = create_plan(edit, NewPlan(name="gold", kind="discount_percent", amount=Decimal(10)))
        changed = update_plan(edit, plan.id, PlanPatch(kind="pay_as_you_go", amount=None, on_failure="deny"))
        assert (changed.kind, changed.amount, changed.body) == ("pay_as_you_go", None, {"on_failure": "deny"})
        with pytest.raises(ConflictError, match="gold"):
            create_plan(edit, NewPlan(name="gold"))
        with pytest.raises(UnprocessableError, match="amount"):
            create_plan(edit, NewPlan(name="other", kind="prepaid_value"))
        with pytest.raises(NotFoundError):
            update_plan(edit, "pln_none", PlanPatch())


def test_lists_are_paged(service: Service) -> None:
    with editing(service.catalog, "ann") as edit:
        made = [create_api(edit, NewApi(name=f"api-{number}")) for number in range(5)]
    with service.catalog.reading() as records:
        first = list_records(records, Api, limit=2)
        second = list_records(records, Api, limit=2, after=first.next)
        last = list_records(records, Api, limit=2, after=second.next, name=None)
        for limit in (0, 1_001):
            with pytest.raises(InvalidRequestError, match="limit"):
                list_records(records, Api, limit=limit)

    assert [*first.items, *second.items, *last.items] == made
    assert last.next is None
