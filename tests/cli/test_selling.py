"""What the owner of an API writes down about money, in the terminal and as a TOML file."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from tollkeeper.billing.models.flat_fee import FlatFee
from tollkeeper.billing.models.graduated import Graduated
from tollkeeper.billing.models.per_unit import PerUnit
from tollkeeper.billing.models.percentage import Percentage
from tollkeeper.billing.models.tiers import Tier
from tollkeeper.billing.price_rows import PriceRow
from tollkeeper.billing.rate_card import CardPrice
from tollkeeper.cli.main import app
from tollkeeper.errors import ConfigurationError, ConflictError, TollkeeperError, UnprocessableError
from tollkeeper.metering.meter import Meter, MeterFilter
from tollkeeper.service.catalog_file import CatalogFile, read_catalog, write_catalog
from tollkeeper.service.plans import NewPlan

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

runner = CliRunner()

FILE = """
[[meter]]
name = "tokens"
aggregation = "sum"
field = "variables.tokens"
group_by = ["variables.model"]

[[meter.filters]]
field = "status_code"
below = "400"

[[meter.filters]]
field = "variables.model"
one_of = ["large", "small"]

[[plan]]
name = "pro"
currency = "EUR"
fee = "20"
minimum = "30"
prorate_by = "day"

[[plan.prices]]
name = "tokens"
meter = "tokens"
maximum = "500"
taxes = ["VAT"]

[[plan.prices.rows]]
price = { model = "graduated", tiers = [{ up_to = "1000", unit_price = "0.01" }, { unit_price = "0.005" }] }
valid_to = 2999-01-01T00:00:00Z

[[plan.prices.rows]]
price = { model = "per_unit", unit_price = "0.02" }
valid_from = 2999-01-01T00:00:00Z

[[plan.prices]]
name = "seat"

[[plan.prices.rows]]
price = { model = "flat_fee", fee = "5", prorated = false }
"""


@pytest.fixture(autouse=True)
def store(tmp_path: Path) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TOLLKEEPER_STORE", f"sqlite:///{tmp_path}/store.db")
        yield


def run(*arguments: str, typed: str = "") -> str:
    result = runner.invoke(app, arguments, input=typed)
    assert result.exit_code == 0, f"{result.output} {result.exception!r}"
    return result.stdout.strip()


def refused(kind: type[TollkeeperError], *arguments: str, typed: str = "") -> str:
    result = runner.invoke(app, arguments, input=typed)
    assert isinstance(result.exception, kind), result.output
    return result.exception.detail


def listed(*arguments: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(run(*arguments, "--json"))
    return found


def test_meters_are_typed() -> None:
    run("api", "add", "orders")
    assert run("meter", "list").startswith("No meters")
    filters = ("variables.model=large,small", "route!=/health", "status_code>=200", "status_code<400")
    options = [part for text in filters for part in ("--filter", text)]
    made = run(
        "meter", "add", "p95", "percentile", "--percentile", "95", "--field", "units", *options, "--group-by", "api"
    )
    meter = json.loads(run("meter", "show", "p95"))
    assert (meter["id"], meter["percentile"], meter["group_by"]) == (made, "95", ["api"])
    assert meter["filters"] == [
        {"field": "variables.model", "one_of": ["large", "small"]},
        {"field": "route", "none_of": ["/health"]},
        {"field": "status_code", "at_least": "200"},
        {"field": "status_code", "below": "400"},
    ]
    assert "percentile" in run("meter", "list")
    run("customer", "add", "Acme", "--external-id", "acme")
    value = json.loads(run("meter", "value", "p95", "acme", "--from", "2026-10-01", "--to", "2026-10-02"))
    assert (value["meter"], value["value"], value["end"]) == (made, "0", "2026-10-02T00:00:00Z")
    assert json.loads(run("meter", "value", "p95", "acme"))["groups"] == []
    assert run("meter", "remove", "p95") == f"Removed {made}."
    assert "like status_code<400" in refused(UnprocessableError, "meter", "add", "x", "count", "--filter", "GET")
    assert "`aggregation`" in refused(UnprocessableError, "meter", "add", "x", "average")


def test_plans_are_priced() -> None:
    run("meter", "add", "tokens", "sum", "--field", "variables.tokens")
    card = ("--fee", "20", "--minimum", "25", "--not-prorated", "--prorate-by", "day")
    plan = run("plan", "add", "pro", "--currency", "EUR", *card)
    run("plan", "price", "pro", "tokens", "0.002", "--meter", "tokens", "--maximum", "9", "--tax", "VAT")
    run("plan", "price", "pro", "seat", '{"model": "flat_fee", "fee": 7.5}')
    assert run("plan", "price", "pro", "tokens", "0.003", "--from", "2999-01-01T00:00:00Z") == f"Changed {plan}."
    (shown,) = listed("plan", "list")
    assert (shown["fee"], shown["minimum"], shown["prorated"], shown["prorate_by"]) == ("20", "25", False, "day")
    tokens, seat = shown["prices"]
    assert [row["price"]["unit_price"] for row in tokens["rows"]] == ["0.002", "0.003"]
    assert (tokens["maximum"], tokens["taxes"]) == ("9", ["VAT"])
    assert seat["rows"] == [{"price": {"model": "flat_fee", "fee": "7.5", "prorated": True}}]
    run("plan", "update", "pro", "--prorated", "--fee", "21")
    assert (listed("plan", "list")[0]["prorated"], listed("plan", "list")[0]["fee"]) == (True, "21")
    for text in ("cheap", "[1]"):
        assert "give what a unit costs" in refused(UnprocessableError, "plan", "price", "pro", "x", text)
    run("customer", "add", "Acme", "--external-id", "acme")
    run("subscription", "add", "acme", "pro")
    assert "in use" in refused(ConflictError, "plan", "update", "pro", "--fee", "22")


def test_a_subscription_is_given_its_own_price() -> None:
    run("plan", "add", "pro", "--currency", "EUR")
    run("plan", "price", "pro", "seat", '{"model": "flat_fee", "fee": "5"}')
    run("customer", "add", "Acme", "--external-id", "acme")
    one = run("subscription", "add", "acme", "pro")
    assert run("subscription", "prices", one).startswith("No prices")
    model = '{"model": "flat_fee", "fee": "3"}'
    made = run(
        "subscription", "price", one, "seat", model, "--from", "2990-01-01T00:00:00Z", "--to", "2991-01-01T00:00:00Z"
    )
    (shown,) = listed("subscription", "prices", one)
    assert (shown["id"], shown["body"]["fee"], shown["valid_to"]) == (made, "3", "2991-01-01T00:00:00Z")
    assert '{"model":"flat_fee","fee":"3","prorated":true}' in run("subscription", "prices", one)
    assert run("subscription", "end-price", one, made) == f"Ended {made}."
    assert listed("subscription", "prices", one) == []


def test_a_customer_is_given_credit_and_taxes() -> None:
    run("customer", "add", "Acme", "--external-id", "acme")
    for noun in ("coupon", "wallet", "item"):
        assert run(noun, "list", "acme").startswith(f"No {noun}s: 'tollkeeper {noun} add'")
    coupon = run("coupon", "add", "acme", "Welcome", "--percent", "10", "--invoices", "2")
    wallet = run("wallet", "add", "acme", "Prepaid", "50", "EUR", "--granted", "--priority", "2")
    assert run("coupon", "end", "acme", coupon) == f"Ended {coupon}."
    assert listed("coupon", "list", "acme")[0]["state"] == "expired"
    assert (listed("wallet", "list", "acme")[0]["balance"], listed("wallet", "list", "acme")[0]["priority"]) == (
        "50",
        2,
    )
    assert run("wallet", "end", "acme", wallet) == f"Ended {wallet}."
    assert "expired" in run("wallet", "list", "acme")

    taxes = ("--tax", "VAT=19", "--tax", "Re=Tax=7:reverse", "--tax-inclusive", "--net-days", "0", "--language", "de")
    run("customer", "set-billing", "acme", "--legal-name", "Acme GmbH", "--tax-id", "DE1", *taxes)
    profile = json.loads(run("customer", "billing", "acme"))
    assert profile["taxes"] == [
        {"name": "VAT", "percent": "19"},
        {"name": "Re=Tax", "percent": "7", "reverse_charge": True},
    ]
    assert (profile["tax_inclusive"], profile["net_days"], profile["language"]) == (True, 0, "de")
    item = run("item", "add", "acme", "Sorry", "-5.50", "EUR", "--tax", "VAT")
    assert (listed("item", "list", "acme")[0]["amount"], listed("item", "list", "acme")[0]["taxes"]) == (
        "-5.50",
        ["VAT"],
    )
    assert run("item", "remove", "acme", item) == f"Removed {item}."
    run("customer", "set-billing", "acme", "--tax", "", "--tax-exclusive")
    assert json.loads(run("customer", "billing", "acme"))["taxes"] == []
    assert "give its name and per cent" in refused(UnprocessableError, "customer", "set-billing", "acme", "--tax", "19")


def test_a_file_with_meters_and_prices_is_applied_and_exported(tmp_path: Path) -> None:
    shown = run("catalog", "apply", "--yes", "-", typed=FILE)
    assert shown.splitlines() == ["+ meter tokens", "+ plan pro", "Applied 2 changes."]
    exported = run("catalog", "export")
    (tmp_path / "again.toml").write_text(exported, encoding="utf-8")
    assert run("catalog", "diff", str(tmp_path / "again.toml"), "--check") == "No differences."
    assert run("catalog", "diff", "-", "--check", typed=FILE) == "No differences."
    assert read_catalog(exported, "x") == read_catalog(FILE, "x")
    assert run("catalog", "diff", "-", typed="").splitlines() == [
        "only in the store: meter tokens",
        "  only in the store: plan pro",
    ]


def test_a_file_adds_to_the_prices_of_a_plan_in_use_and_edits_none() -> None:
    run("catalog", "apply", "--yes", "-", typed=FILE)
    run("customer", "add", "Acme", "--external-id", "acme")
    run("subscription", "add", "acme", "pro")
    dearer = FILE.replace('"0.005"', '"0.006"')
    assert "prices are never edited" in refused(ConflictError, "catalog", "apply", "--yes", "-", typed=dearer)
    begun = 'price = { model = "per_unit", unit_price = "0.02" }\nvalid_from = 2999-01-01T00:00:00Z\n'
    next_row = begun.replace("2999", "3000").replace("0.02", "0.03")
    later = f"{begun}valid_to = 3000-01-01T00:00:00Z\n\n[[plan.prices.rows]]\n{next_row}"
    assert run("catalog", "apply", "--yes", "-", typed=FILE.replace(begun, later)).endswith("Applied 1 changes.")
    assert len(listed("plan", "list")[0]["prices"][0]["rows"]) == 3

    other = FILE.replace('"sum"', '"max"')
    assert "! meter tokens" in run("catalog", "diff", "-", typed=other)
    assert "give another name" in refused(ConflictError, "catalog", "apply", "--yes", "-", typed=other)


@pytest.mark.parametrize(
    "text",
    [
        '[[meter]]\nname = "x"\naggregation = "sum"\n',
        '[[plan]]\nname = "x"\nprices = [{ name = "x", rows = [] }]\n',
        '[[plan]]\nname = "x"\nprices = [{ name = "x", rows = [{ price = { model = "free" } }] }]\n',
        f"x = {'[' * 5_000}",
        *(f'[[plan]]\nname = "pro"\ncurrency = "EUR"\n{name} = "sNaN"\n' for name in ("fee", "minimum", "amount")),
        *(
            f'[[route]]\napi = "shop"\nversion = "v1"\nprice = [{{ price = "{price}", currency = "EUR" }}]\n'
            for price in ("sNaN", "NaN", "1e999999999")
        ),
    ],
)
def test_what_makes_no_sense_is_refused_with_the_name_of_the_file(text: str) -> None:
    run("plan", "add", "pro", "--currency", "EUR", "--fee", "20")
    shop = '[[api]]\nname = "shop"\nversions = ["v1"]\n[[route]]\napi = "shop"\nversion = "v1"\n'
    run("catalog", "apply", "--yes", "-", typed=f'{shop}price = [{{ price = "1", currency = "EUR" }}]\n')
    assert "Cannot use -: " in refused(ConfigurationError, "catalog", "diff", "-", typed=text)


@pytest.mark.parametrize(
    "number",
    ["sNaN", "1e999999999", "1e99999999999999999999", "\udcff", "[" * 5_000, '{"a": 1e99999999999999999999}'],
    ids=["sNaN", "large", "too large", "no UTF-8", "deep", "too large in JSON"],
)
def test_what_is_typed_as_a_number_is_read_or_refused(number: str) -> None:
    run("customer", "add", "Acme", "--external-id", "acme")
    run("plan", "add", "pro", "--currency", "EUR")
    refused(UnprocessableError, "plan", "price", "pro", "seat", "--", number)
    refused(UnprocessableError, "plan", "add", "max", "--currency", "EUR", f"--fee={number}")
    refused(UnprocessableError, "item", "add", "acme", "x", number, "EUR")


texts = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20)
amounts = st.decimals(0, 10**6, places=4, allow_nan=False)
models = st.one_of(
    st.builds(PerUnit, unit_price=amounts),
    st.builds(
        Percentage, rate=st.decimals(0, 100, places=2), fixed_fee=amounts, free_events=st.none() | st.integers(0, 9)
    ),
    st.builds(
        Graduated,
        tiers=st.builds(
            lambda first, last: (first, last),
            st.builds(Tier, up_to=st.decimals(1, 100, places=1), unit_price=amounts, flat_fee=amounts),
            st.builds(Tier, unit_price=amounts),
        ),
    ),
)
changes = st.datetimes(datetime(1970, 1, 2), datetime(9998, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001  # made aware


@st.composite
def card_prices(draw: st.DrawFn, name: str) -> CardPrice:
    taxes = draw(st.none() | st.lists(texts, max_size=2).map(tuple))
    if draw(st.booleans()):
        return CardPrice(
            name=name, rows=(PriceRow(price=FlatFee(fee=draw(amounts), prorated=draw(st.booleans()))),), taxes=taxes
        )
    at = draw(changes)
    rows = (PriceRow(price=draw(models), valid_to=at), PriceRow(price=draw(models), valid_from=at))
    return CardPrice(name=name, meter=draw(texts), rows=rows, maximum=draw(st.none() | amounts), taxes=taxes)


filters = st.builds(
    MeterFilter,
    field=st.sampled_from(["status_code", "variables.model"]),
    one_of=st.none() | st.lists(texts, max_size=2).map(tuple),
    none_of=st.lists(texts, min_size=1, max_size=2).map(tuple),
    at_least=st.none() | amounts,
)


plans = st.builds(
    NewPlan,
    name=texts,
    currency=st.just("EUR"),
    fee=st.none() | amounts,
    minimum=amounts,
    prorated=st.booleans(),
    prices=st.tuples(card_prices("a b"), card_prices("seat")).map(list),
)


@given(texts, st.lists(filters, max_size=2), plans)
def test_whatever_is_priced_survives_the_file(name: str, filters: list[MeterFilter], plan: NewPlan) -> None:
    meter = Meter(name=name, aggregation="count", filters=tuple(filters), group_by=("route",))
    catalog = CatalogFile(meter=[meter], plan=[plan])
    assert read_catalog(write_catalog(catalog), "x") == catalog
