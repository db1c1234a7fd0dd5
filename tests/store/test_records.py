"""The one conformance suite of the port ``RecordStore``: memory, SQLite and PostgreSQL pass it."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
import sqlalchemy as sa
from msgspec.structs import replace

from support.stores import DURABLE, ENGINES, store_url
from tollkeeper.billing.customer import ApiKey, Customer
from tollkeeper.billing.failure import ApiError
from tollkeeper.billing.limit import QuotaGrant
from tollkeeper.billing.plan import Plan
from tollkeeper.billing.product import Api, ApiRoute, ApiVersion, RoutePrice
from tollkeeper.billing.subscription import Subscription, SubscriptionPause
from tollkeeper.billing.terms import PlanChange, RouteLimit
from tollkeeper.errors import ConflictError, StoreError, UnprocessableError
from tollkeeper.metering.definition import MeterDefinition
from tollkeeper.store.audit import AuditEntry, IdempotentAnswer
from tollkeeper.store.catalog.kinds import KINDS
from tollkeeper.store.engines import open_stores
from tollkeeper.store.invoices import Invoice, InvoiceEmail, InvoiceLine, InvoiceSeries, IssuedCreditNote
from tollkeeper.store.operations import AlertChannel, AlertRule, JobRun, Message
from tollkeeper.store.selling import BillingProfile, CustomerCoupon, CustomerWallet, InvoiceItem, SubscriptionPrice

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tollkeeper.store.protocols import Catalog

NOW = datetime(2026, 10, 1, 12, 0, 0, 123456, tzinfo=UTC)
LATER = NOW + timedelta(days=30)

API = Api(id="api_1", name="orders", created_at=NOW)
VERSION = ApiVersion(id="ver_1", api="api_1", name="v1", created_at=NOW)
ROUTE = ApiRoute(id="rte_1", version="ver_1", endpoint="/orders/{id}", method="GET", created_at=NOW)
PRICE = RoutePrice(
    id="prc_1", route="rte_1", price=Decimal("0.0000000010"), currency="EUR", valid_from=NOW, created_at=NOW
)
CUSTOMER = Customer(
    id="cus_1", name="Ünïted\n", address="1, A Street", email="a@b.c", currency="EUR", external_id="x", created_at=NOW
)
KEY = ApiKey(id="key_1", customer="cus_1", prefix="tk_12345", digest=b"\x00\xff", fingerprint="key_0", created_at=NOW)
PLAN = Plan(
    id="pln_1",
    name="gold",
    kind="discount_percent",
    amount=Decimal("12.50"),
    body={"a": [1, {"b": None}]},
    created_at=NOW,
)
SUBSCRIPTION = Subscription(
    id="sub_1", customer="cus_1", api="api_1", started_at=NOW, anchor=NOW, overrides={"x": 1}, created_at=NOW
)
INVOICE = Invoice(
    id="inv_1",
    customer="cus_1",
    period="2026-09",
    currency="EUR",
    state="finalized",
    number="INV-000001",
    starts_at=NOW,
    ends_at=LATER,
    subtotal=Decimal("10.00"),
    discount=Decimal("0.00"),
    net=Decimal("10.00"),
    tax=Decimal("1.90"),
    total=Decimal("11.90"),
    due=Decimal("-1.10"),
    credit=Decimal("13.00"),
    document=b"\x00\xff",
    digest=b"\x01",
    at=LATER,
    created_at=NOW,
)
LINE = InvoiceLine(
    id="lin_1",
    invoice="inv_1",
    n=1,
    customer="cus_1",
    kind="usage",
    name="GET /orders",
    currency="EUR",
    quantity=2**52,
    net=1000,
    state="finalized",
    at=NOW,
)
ONE_OF_EACH: list[Any] = [
    API,
    VERSION,
    ROUTE,
    PRICE,
    CUSTOMER,
    KEY,
    PLAN,
    SUBSCRIPTION,
    SubscriptionPause(id="pau_1", subscription="sub_1", paused_at=NOW, resumed_at=LATER),
    PlanChange(id="chg_1", subscription="sub_1", plan="pln_1", effective_at=NOW, created_at=NOW),
    RouteLimit(id="lim_1", subscription="sub_1", endpoint=None, limit=2**40, period="day", created_at=NOW),
    QuotaGrant(id="gra_1", subscription="sub_1", limit="all month", units=2**52, at=NOW, note="sorry", created_at=NOW),
    MeterDefinition(id="met_1", name="tokens", body={"aggregation": "sum"}, created_at=NOW),
    SubscriptionPrice(
        id="spr_1", subscription="sub_1", price="rte_1", body={"model": "per_unit"}, valid_from=NOW, created_at=NOW
    ),
    INVOICE,
    LINE,
    InvoiceSeries(id="ser_1", name="invoices", prefix="INV-", next=2, at=NOW, created_at=NOW),
    IssuedCreditNote(
        id="crn_1",
        invoice="inv_1",
        customer="cus_1",
        number="CN-000001",
        currency="EUR",
        net=Decimal("10.00"),
        tax=Decimal("1.90"),
        total=Decimal("11.90"),
        document=b"\xff",
        at=NOW,
        created_at=NOW,
    ),
    InvoiceEmail(id="eml_1", subject="inv_1", address="a@b.c", at=NOW, created_at=NOW),
    CustomerCoupon(
        id="cpn_1", customer="cus_1", name="hello", percent=Decimal("12.5"), invoices_left=3, created_at=NOW
    ),
    CustomerWallet(
        id="wal_1",
        customer="cus_1",
        name="prepaid",
        currency="EUR",
        amount=Decimal("100.00"),
        balance=Decimal("0.10"),
        granted=True,
        invoice="inv_1",
        expires_at=LATER,
        created_at=NOW,
    ),
    InvoiceItem(
        id="itm_1", customer="cus_1", name="setup", amount=Decimal("-5.00"), currency="EUR", at=NOW, created_at=NOW
    ),
    BillingProfile(id="bpr_1", customer="cus_1", taxes={"rates": []}, net_days=14, created_at=NOW),
    AlertChannel(
        id="chn_1", name="hook", kind="webhook", address="https://x", salt=b"\0s", secrets=b"\xff", created_at=NOW
    ),
    AlertRule(
        id="rul_1",
        name="slow",
        kind="latency",
        threshold=Decimal("0.50"),
        channels={"hook": "chn_1"},
        paused=True,
        created_at=NOW,
    ),
    Message(id="msg_1", channel="chn_1", subject="s", cause="c", document={"a": [1.5, None]}, at=NOW, created_at=NOW),
    JobRun(id="run_1", job="quota-reset", at=NOW, state="done", started_at=NOW, finished_at=LATER),
    ApiError(id="err_1", is_internal=True, input_data="{}", status_code=500, at=NOW, created_at=NOW),
    AuditEntry(
        id="aud_1", at=NOW, actor="ann", action="create", kind="api", record="api_1", before=None, after={"a": 1}
    ),
    IdempotentAnswer(id="idm_1", request=b"r", status=201, location=None, salt=b"s", body=b"b", at=NOW),
]


@pytest.fixture(params=ENGINES)
def catalog(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Catalog]:
    events, catalog = open_stores(store_url(request.param, tmp_path))
    yield catalog
    catalog.close()
    events.close()


def fill(catalog: Catalog, *records: Any) -> None:
    with catalog.writing() as writing:
        for record in records:
            writing.add(record)


def test_every_kind_is_kept_exactly(catalog: Catalog) -> None:
    fill(catalog, *ONE_OF_EACH)

    assert {type(record) for record in ONE_OF_EACH} == KINDS.keys()
    with catalog.reading() as reading:
        for record in ONE_OF_EACH:
            assert reading.get(type(record), record.id) == record
            assert reading.find(type(record)) == [record]


def test_a_decimal_keeps_its_digits(catalog: Catalog) -> None:
    fill(catalog, API, VERSION, ROUTE, PRICE)

    with catalog.reading() as reading:
        (price,) = reading.find(RoutePrice)
    assert format(price.price, "f") == "0.0000000010"


def test_what_is_not_there_is_none(catalog: Catalog) -> None:
    with catalog.reading() as reading:
        assert reading.get(Api, "api_none") is None
        assert reading.find(Api, name="none") == []
        assert reading.page(Api, after=None, limit=10) == []


def test_records_are_found_by_what_their_fields_equal(catalog: Catalog) -> None:
    customers = [
        Customer(id=f"cus_{number}", name="n", email="e" if number % 2 else None, created_at=NOW) for number in range(6)
    ]
    fill(catalog, *reversed(customers))

    with catalog.reading() as reading:
        assert reading.find(Customer) == customers
        assert reading.find(Customer, name="n", email=None) == customers[::2]
        assert reading.find(Customer, id=["cus_4", "cus_1", "cus_9"]) == [customers[1], customers[4]]
        assert reading.find(Customer, id=[]) == []
        assert reading.find(Customer, created_at=NOW + timedelta(microseconds=1)) == []


def test_a_list_of_any_length_may_be_looked_for(catalog: Catalog) -> None:
    customers = [Customer(id=f"cus_{number:05}", name="n", created_at=NOW) for number in range(20)]
    fill(catalog, *customers)
    wanted = [f"cus_{number:05}" for number in reversed(range(70_000))]

    with catalog.reading() as reading:
        assert reading.find(Customer, id=wanted, name="n") == customers


def test_pages_follow_one_another_in_both_directions(catalog: Catalog) -> None:
    entries = [
        AuditEntry(
            id=f"aud_{number:02}",
            at=NOW + timedelta(hours=number),
            actor="ann" if number % 2 else "bob",
            action="create",
            kind="api",
            record="api_1",
            before=None,
            after=None,
        )
        for number in range(10)
    ]
    fill(catalog, *entries)

    def pages(**options: Any) -> list[AuditEntry]:
        found: list[AuditEntry] = []
        with catalog.reading() as reading:
            while page := reading.page(AuditEntry, after=found[-1].id if found else None, limit=3, **options):
                found += page
        return found

    assert pages() == entries
    assert pages(newest_first=True) == entries[::-1]
    assert pages(actor="ann", newest_first=True) == entries[1::2][::-1]
    assert pages(start=NOW + timedelta(hours=2)) == entries[2:]
    assert pages(start=NOW + timedelta(hours=2), end=NOW + timedelta(hours=5)) == entries[2:5]


def test_a_field_is_added_up_by_the_values_of_others(catalog: Catalog) -> None:
    nets = [1, -20, 300, 2**62, 2**62, 2**62, -(2**63)]
    lines = [
        replace(
            LINE,
            id=f"lin_{at}",
            n=at,
            net=net,
            quantity=None if at == 1 else at,
            route="rte_1" if at % 2 else None,
            state="draft" if at == 2 else "paid",
            at=NOW + timedelta(days=at),
        )
        for at, net in enumerate(nets)
    ]
    fill(catalog, CUSTOMER, INVOICE, *lines)

    with catalog.reading() as reading:
        assert reading.sums(InvoiceLine, "net", ()) == {(): sum(nets)}
        assert reading.sums(InvoiceLine, "net", ("currency", "route")) == {
            ("EUR", None): sum(nets[::2]),
            ("EUR", "rte_1"): sum(nets[1::2]),
        }
        assert reading.sums(InvoiceLine, "quantity", ("at",), end=NOW + timedelta(days=2)) == {
            (NOW,): 0,
            (NOW + timedelta(days=1),): 0,
        }
        assert reading.sums(InvoiceLine, "quantity", ["state"], start=NOW + timedelta(days=2)) == {
            ("draft",): 2,
            ("paid",): 3 + 4 + 5 + 6,
        }
        many = [*(f"lin_{at}" for at in range(20_000)), "lin_1"]
        assert reading.sums(InvoiceLine, "net", (), state=["paid"], id=many) == {(): sum(nets) - 300}
        assert reading.sums(InvoiceLine, "net", (), state="void") == {}
        assert reading.sums(InvoiceLine, "net", ("route",), id=[]) == {}


def test_a_record_is_replaced_and_removed(catalog: Catalog) -> None:
    fill(catalog, CUSTOMER)
    changed = replace(CUSTOMER, name="new", email=None)
    with catalog.writing() as writing:
        writing.replace(changed)
        assert writing.get(Customer, "cus_1") == changed
    with catalog.reading() as reading:
        assert reading.find(Customer) == [changed]
    for _ in range(2):
        with catalog.writing() as writing:
            writing.remove(changed)
    with catalog.reading() as reading:
        assert reading.find(Customer) == []


@pytest.mark.parametrize("text", ["a\0b", "\0", "\ud800", "a\udfff"])
def test_a_text_that_no_database_can_keep_is_refused_and_not_found(catalog: Catalog, text: str) -> None:
    fill(catalog, CUSTOMER)
    with pytest.raises(UnprocessableError, match="name has"), catalog.writing() as writing:
        writing.add(replace(CUSTOMER, id="cus_2", external_id=None, name=text))
    with pytest.raises(UnprocessableError, match="email has"), catalog.writing() as writing:
        writing.replace(replace(CUSTOMER, email=text))
    with catalog.reading() as reading:
        assert reading.get(Customer, text) is None
        assert reading.find(Customer, name=text) == []
        assert reading.find(Customer, id=[text, "cus_1"]) == [CUSTOMER]
        assert reading.page(Customer, after=None, limit=5, name=text) == []
        assert reading.page(Customer, after=text, limit=5) in ([], [CUSTOMER])


def test_what_raises_leaves_nothing_behind(catalog: Catalog) -> None:
    def fail() -> None:
        with catalog.writing() as writing:
            writing.add(CUSTOMER)
            raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        fail()
    with catalog.reading() as reading:
        assert reading.find(Customer) == []


@pytest.mark.parametrize(
    ("kind", "both", "double"),
    [
        (Api, {}, {}),
        (ApiVersion, {}, {}),
        (ApiRoute, {}, {}),
        (ApiRoute, {"endpoint": None}, {}),
        (ApiRoute, {"endpoint": None, "method": None}, {}),
        (RoutePrice, {}, {"price": Decimal(1)}),
        (Customer, {}, {"name": "other"}),
        (ApiKey, {}, {"fingerprint": "other"}),
        (ApiKey, {}, {"digest": b"other"}),
        (Plan, {}, {}),
        (Subscription, {}, {}),
        (Subscription, {"api": None}, {}),
        (SubscriptionPause, {}, {"resumed_at": None}),
        (PlanChange, {}, {}),
        (RouteLimit, {}, {"limit": 7}),
        (RouteLimit, {"endpoint": "/x"}, {}),
        (MeterDefinition, {}, {}),
        (SubscriptionPrice, {}, {"body": {}}),
        (Invoice, {}, {"number": None}),
        (Invoice, {}, {"attempt": 2}),
        (InvoiceLine, {}, {"net": 0}),
        (InvoiceSeries, {}, {}),
        (IssuedCreditNote, {}, {"reason": "again"}),
        (BillingProfile, {}, {}),
    ],
)
def test_an_identity_is_taken_once(
    catalog: Catalog, kind: type[Any], both: dict[str, Any], double: dict[str, Any]
) -> None:
    fill(catalog, *ONE_OF_EACH)
    kept = replace(next(record for record in ONE_OF_EACH if type(record) is kind), **both)
    with catalog.writing() as writing:
        writing.replace(kept)

    with pytest.raises(ConflictError, match=KINDS[kind].noun), catalog.writing() as writing:
        writing.add(replace(kept, id="double", **double))
    with catalog.reading() as reading:
        assert reading.get(kind, "double") is None


def test_an_identity_is_not_taken_over_either(catalog: Catalog) -> None:
    other = replace(CUSTOMER, id="cus_2", external_id="y")
    fill(catalog, CUSTOMER, other)

    with pytest.raises(ConflictError), catalog.writing() as writing:
        writing.replace(replace(other, external_id="x"))


def test_an_id_is_taken_once(catalog: Catalog) -> None:
    fill(catalog, CUSTOMER)

    with pytest.raises(ConflictError), catalog.writing() as writing:
        writing.add(replace(CUSTOMER, external_id="y"))


def test_no_identity_is_no_conflict(catalog: Catalog) -> None:
    nameless = replace(CUSTOMER, external_id=None)
    ended = replace(SUBSCRIPTION, ended_at=LATER)
    fill(catalog, API, nameless, replace(nameless, id="cus_2"))
    fill(catalog, ended, replace(ended, id="sub_2"), replace(ended, id="sub_3", ended_at=None))

    with catalog.reading() as reading:
        assert len(reading.find(Customer)) == 2
        assert len(reading.find(Subscription)) == 3


def test_a_reader_sees_one_moment(catalog: Catalog) -> None:
    fill(catalog, API)
    with catalog.reading() as reading:
        assert reading.find(Customer) == []
        fill(catalog, CUSTOMER)
        assert reading.find(Customer) == []
    with catalog.reading() as reading:
        assert reading.find(Customer) == [CUSTOMER]


def test_writers_follow_one_another(catalog: Catalog) -> None:
    fill(catalog, CUSTOMER)

    def count() -> None:
        for _ in range(10):
            with catalog.writing() as writing:
                (found,) = writing.find(Customer)
                writing.replace(replace(found, name=str(int(found.name) + 1)))

    with catalog.writing() as writing:
        writing.replace(replace(CUSTOMER, name="0"))
    threads = [threading.Thread(target=count) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    with catalog.reading() as reading:
        assert [found.name for found in reading.find(Customer)] == ["50"]


def test_the_pepper_stays_the_same(catalog: Catalog) -> None:
    assert len(catalog.pepper()) == 32
    assert catalog.pepper() == catalog.pepper()
    _, other = open_stores("memory:")
    assert other.pepper() != catalog.pepper()


@pytest.mark.parametrize("engine", DURABLE)
def test_a_database_that_fails_is_a_store_error(engine: str, tmp_path: Path) -> None:
    url = store_url(engine, tmp_path)
    events, catalog = open_stores(url)
    broken = sa.create_engine(url.replace("postgresql:", "postgresql+psycopg:"))
    with broken.begin() as connection:
        connection.exec_driver_sql("DROP TABLE customer" + (" CASCADE" if engine == "postgresql" else ""))
    broken.dispose()

    with pytest.raises(StoreError, match="customer"), catalog.reading() as reading:
        reading.find(Customer)
    catalog.close()
    events.close()


def test_records_are_json(catalog: Catalog) -> None:
    fill(catalog, PLAN)
    with catalog.reading() as reading:
        (plan,) = reading.find(Plan)

    assert msgspec.json.decode(msgspec.json.encode(plan), type=Plan) == PLAN
