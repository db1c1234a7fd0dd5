"""The catalogue in the terminal, and as a TOML file."""

from __future__ import annotations

import getpass
import json
import tomllib
from datetime import UTC, datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from tollkeeper.billing.limit import Limit, OnFailure, Rate
from tollkeeper.cli.main import app
from tollkeeper.errors import (
    ConfigurationError,
    ConflictError,
    NotFoundError,
    TollkeeperError,
    UnprocessableError,
)
from tollkeeper.service.catalog_file import CatalogFile, read_catalog, write_catalog
from tollkeeper.service.plans import NewPlan

if TYPE_CHECKING:
    from pathlib import Path

runner = CliRunner()

PLANS = """
[[api]]
name = "orders"
versions = ["v1", "v2"]

[[route]]
api = "orders"
version = "v1"
endpoint = "/orders/{id}"
method = "GET"

[[route.price]]
price = "0.0010"
currency = "EUR"

[[route.price]]
price = 0.02
currency = "EUR"
valid_from = 2027-01-01T00:00:00+01:00

[[route]]
api = "orders"
version = "v1"
retired = true

[[plan]]
name = "gold"
kind = "discount_percent"
amount = "12.5"
trial_days = 14

[[plan]]
name = "basic \\"b\\"\\u007f"
on_failure = "deny"

[[plan.limits]]
limit = 1000
period = "month"
hard = false
anchor = 2026-01-31T00:00:00+01:00
carry_over = 100

[[plan.limits]]
limit = 10
period = "minute"
api = "orders"
endpoint = "/orders/{id}"

[[plan.rates]]
rate = 5
burst = 20
"""


@pytest.fixture(autouse=True)
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    url = f"sqlite:///{tmp_path}/store.db"
    monkeypatch.setenv("TOLLKEEPER_STORE", url)
    return url


def run(*arguments: str, code: int = 0, typed: str = "") -> str:
    result = runner.invoke(app, arguments, input=typed)
    assert result.exit_code == code, f"{result.output} {result.exception!r}"
    return result.stdout.strip()


def refused(kind: type[TollkeeperError], *arguments: str) -> str:
    result = runner.invoke(app, arguments)
    assert isinstance(result.exception, kind), result.output
    return result.exception.detail


def listed(*arguments: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(run(*arguments, "--json"))
    return found


@pytest.fixture
def sold() -> str:
    """An API, a plan and a customer; the id of the route."""
    run("api", "add", "orders")
    run("api", "version", "orders", "v1")
    run("plan", "add", "gold", "--trial-days", "3")
    run("plan", "add", "free")
    run("customer", "add", "Acme", "--external-id", "acme")
    return run("api", "route", "orders", "v1", "/a", "--method", "GET", "--price", "0.5", "--currency", "EUR")


def test_products_are_made_and_listed(sold: str) -> None:
    run("api", "price", sold, "0.7", "EUR", "--from", "2030-01-01T00:00:00Z")
    (route,) = listed("api", "routes")

    assert [api["name"] for api in listed("api", "list")] == ["orders"]
    assert (route["id"], route["price"], route["retired_at"]) == (sold, "0.5", None)
    assert [price["price"] for price in listed("api", "prices", sold)] == ["0.5", "0.7"]
    assert run("api", "retire", sold) == f"Retired {sold}."
    assert listed("api", "routes")[0]["retired_at"]
    assert run("api", "retire", sold, "--undo") == f"Opened {sold}."
    assert "orders" in run("api", "list")


@pytest.mark.usefixtures("sold")
def test_customers_and_plans_are_changed() -> None:
    changed = run("customer", "update", "acme", "--email", "a@b.example", "--time-zone", "Europe/Berlin")
    (customer,) = listed("customer", "list")
    assert changed == f"Changed {customer['id']}."
    assert (customer["email"], customer["time_zone"], customer["name"]) == ("a@b.example", "Europe/Berlin", "Acme")

    run("plan", "update", "gold", "--kind", "prepaid_volume", "--amount", "100")
    assert (listed("plan", "list")[0]["kind"], listed("plan", "list")[0]["amount"]) == ("prepaid_volume", "100")
    assert "`email`" in refused(UnprocessableError, "customer", "add", "x", "--email", "y")


@pytest.mark.usefixtures("sold")
def test_a_key_is_printed_once() -> None:
    result = runner.invoke(app, ["key", "create", "acme"])
    secret = result.stdout.strip()
    (key,) = listed("key", "list", "acme")

    assert secret.startswith("tk_")
    assert "cannot be shown again" in result.stderr
    assert (key["prefix"], key["secret"], key["state"]) == (secret[:8], None, "active")
    assert secret not in run("key", "list")
    assert run("key", "rotate", key["id"], "--overlap", "0") != secret
    assert [one["state"] for one in listed("key", "list")] == ["expired", "active"]
    assert run("key", "revoke", listed("key", "list")[1]["id"]).startswith("Revoked")


@pytest.mark.usefixtures("sold")
def test_a_key_that_is_brought_along_is_never_printed() -> None:
    result = runner.invoke(app, ["key", "create", "acme", "--bring"], input="a-key-of-their-own\n")

    assert result.exit_code == 0
    assert "a-key-of-their-own" not in result.output
    assert listed("key", "list")[0]["prefix"] == "a-key-of"


@pytest.mark.usefixtures("sold")
def test_a_subscription_is_led_through_its_life() -> None:
    one = run("subscription", "add", "acme", "gold", "--api", "orders", "--limit", "5/day", "--limit", "7/minute:/a:b")

    def state() -> tuple[str, list[tuple[Any, ...]]]:
        (shown,) = listed("subscription", "list", "acme")
        return shown["state"], [(limit["limit"], limit["period"], limit["endpoint"]) for limit in shown["limits"]]

    assert state() == ("trial", [(5, "day", None), (7, "minute", "/a:b")])
    run("subscription", "pause", one)
    assert state()[0] == "paused"
    run("subscription", "resume", one)
    assert "has the plan free from" in run("subscription", "change-plan", one, "free")
    run("subscription", "update", one, "--limit", "9/month")
    assert state() == ("trial", [(9, "month", None)])
    run("subscription", "update", one)
    assert state() == ("trial", [])
    assert "ends at" in run("subscription", "cancel", one)
    run("subscription", "cancel", one, "--at-once")
    assert state()[0] == "ended"
    assert "acme" not in run("subscription", "list")
    assert refused(ConflictError, "subscription", "resume", one)
    assert refused(UnprocessableError, "subscription", "add", "acme", "free", "--limit", "many")


def test_what_is_empty_says_what_to_do() -> None:
    assert "There is no store" in refused(NotFoundError, "api", "list")
    run("api", "add", "orders")
    for arguments, said in (
        (("api", "routes"), "tollkeeper api route"),
        (("customer", "list"), "tollkeeper customer add"),
        (("key", "list"), "tollkeeper key create"),
        (("plan", "list"), "tollkeeper plan add"),
        (("subscription", "list"), "tollkeeper subscription add"),
    ):
        assert said in run(*arguments)


def test_the_audit_log_names_who_typed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(getpass, "getuser", lambda: "ann")
    api = run("api", "add", "orders")

    def nobody() -> str:
        raise OSError

    monkeypatch.setattr(getpass, "getuser", nobody)
    run("api", "add", "maps")
    newest, oldest = listed("audit")
    assert (newest["actor"], oldest["actor"]) == ("terminal:unknown", "terminal:ann")
    assert (oldest["record"], oldest["after"]["name"]) == (api, "orders")
    assert [entry["record"] for entry in listed("audit", "--record", api)] == [api]
    assert len(listed("audit", "--limit", "1")) == 1


def test_a_file_is_applied_and_exported_again(tmp_path: Path) -> None:
    file = tmp_path / "plans.toml"
    file.write_text(PLANS, encoding="utf-8")

    assert run("catalog", "diff", str(file)).splitlines() == [
        "+ api orders",
        "+ version orders v1",
        "+ version orders v2",
        "+ route orders v1 GET /orders/{id}",
        "+ price orders v1 GET /orders/{id}: 0.0010 EUR from 1970-01-01T00:00:00+00:00",
        "+ price orders v1 GET /orders/{id}: 0.02 EUR from 2027-01-01T00:00:00+01:00",
        "+ route orders v1 any (default)",
        "~ route orders v1 any (default): retired",
        "+ plan gold",
        '+ plan basic "b"\x7f',
    ]
    run("catalog", "diff", str(file), "--check", code=1)
    assert listed("audit") == []
    assert run("catalog", "apply", "--yes", str(file)).endswith("Applied 10 changes.")
    assert run("catalog", "diff", str(file), "--check") == "No differences."
    assert run("catalog", "apply", str(file)) == "No differences."
    exported = run("catalog", "export")
    (tmp_path / "again.toml").write_text(exported, encoding="utf-8")
    assert run("catalog", "diff", str(tmp_path / "again.toml"), "--check") == "No differences."
    assert 'price = "0.0010"' in exported
    assert "valid_from = 2026-12-31T23:00:00Z" in exported


def test_a_file_changes_plans_and_never_prices(tmp_path: Path) -> None:
    run("catalog", "apply", "-", "--yes", typed=PLANS)
    changed = PLANS.replace('"12.5"', '"15"').replace("retired = true", "")
    file = tmp_path / "plans.toml"
    file.write_text(changed, encoding="utf-8")

    assert run("catalog", "apply", str(file), typed="n\n", code=1).startswith(
        "~ route orders v1 any (default): open\n~ plan gold: amount 12.5 → 15"
    )
    assert listed("plan", "list")[0]["amount"] == "12.5"
    run("catalog", "apply", str(file), typed="y\n")
    assert listed("plan", "list")[0]["amount"] == "15"

    file.write_text(changed.replace('"15"', '"16"').replace("0.0010", "0.0020"), encoding="utf-8")
    assert "! price orders v1 GET /orders/{id}: 0.0020 EUR" in run("catalog", "diff", str(file))
    assert "prices are never edited" in refused(ConflictError, "catalog", "apply", "--yes", str(file))
    assert listed("plan", "list")[0]["amount"] == "15"


def test_what_only_the_store_has_stays(tmp_path: Path) -> None:
    run("catalog", "apply", "-", "--yes", typed=PLANS)
    file = tmp_path / "plans.toml"
    file.write_text("", encoding="utf-8")

    assert run("catalog", "diff", "--check", str(file)).splitlines() == [
        "only in the store: api orders",
        "  only in the store: route orders v1 GET /orders/{id}",
        "  only in the store: route orders v1 any (default)",
        "  only in the store: plan gold",
        '  only in the store: plan basic "b"\x7f',
    ]
    assert run("catalog", "apply", "--yes", str(file)).endswith("Applied 0 changes.")
    assert len(listed("plan", "list")) == 2


def test_what_was_shown_is_what_is_applied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "plans.toml"
    file.write_text('[[plan]]\nname = "gold"\n', encoding="utf-8")
    monkeypatch.setattr("typer.confirm", lambda *_, **__: bool(run("plan", "add", "gold")))

    assert "changed meanwhile" in refused(ConflictError, "catalog", "apply", str(file))


@pytest.mark.parametrize(
    "text", ["x", "[[plan]]", '[[plan]]\nname = "x"\nkind = "y"', "[[other]]", '[[api]]\nname = ""', "plan = 1"]
)
def test_a_file_that_is_none_is_refused(tmp_path: Path, text: str) -> None:
    file = tmp_path / "plans.toml"
    file.write_text(text, encoding="utf-8")
    assert "Cannot use" in refused(ConfigurationError, "catalog", "diff", str(file))


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    assert "none.toml" in refused(ConfigurationError, "catalog", "diff", str(tmp_path / "none.toml"))
    (tmp_path / "binary.toml").write_bytes(b"\xff")
    assert "binary.toml" in refused(ConfigurationError, "catalog", "diff", str(tmp_path / "binary.toml"))


texts = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20)
INDIA = timezone(timedelta(hours=5, minutes=30))
anchors = st.datetimes(datetime(1970, 1, 2), datetime(9998, 1, 1), timezones=st.sampled_from([UTC, INDIA]))  # noqa: DTZ001  # made aware
scopes = {"api": st.none() | texts, "endpoint": st.none() | texts}
limits = st.builds(
    Limit,
    limit=st.integers(0, 2**53),
    period=st.sampled_from(["minute", "month", "billing"]),
    hard=st.booleans(),
    anchor=st.none()
    | st.datetimes(datetime(1970, 1, 2), datetime(9998, 1, 1), timezones=st.sampled_from([UTC, INDIA])),  # noqa: DTZ001  # made aware
    carry_over=st.integers(0, 10**12),
    **scopes,
)
rates = st.builds(
    Rate,
    rate=st.integers(0, 100_000),
    per=st.sampled_from(["second", "minute"]),
    burst=st.none() | st.integers(1, 100),
    **scopes,
)


@given(texts, st.lists(limits, max_size=3), st.lists(rates, max_size=3), st.sampled_from(["admit", "deny"]))
def test_whatever_a_plan_holds_survives_the_file(
    name: str, limits: list[Limit], rates: list[Rate], on_failure: OnFailure
) -> None:
    plan = NewPlan(name=name, limits=limits, rates=rates, on_failure=on_failure)
    text = write_catalog(CatalogFile(plan=[plan]))

    assert tomllib.loads(text)["plan"][0]["name"] == name
    assert read_catalog(text, "x").plan == [plan]


def test_limits_are_typed_and_change_under_a_plan_in_use() -> None:
    limits = ("--limit", "1000/day", "--limit", "10/billing:/a:b")
    run("plan", "add", "gold", *limits, "--rate", "5/second", "--rate", "9/minute:/a")
    run("customer", "add", "Acme", "--external-id", "acme")
    run("subscription", "add", "acme", "gold")

    (plan,) = listed("plan", "list")
    assert plan["limits"] == [{"limit": 1000, "period": "day"}, {"limit": 10, "period": "billing", "endpoint": "/a:b"}]
    assert plan["rates"] == [{"rate": 5}, {"rate": 9, "per": "minute", "endpoint": "/a"}]
    assert plan["on_failure"] == "admit"

    run("plan", "update", "gold", "--limit", "7/month", "--on-failure", "deny")
    (plan,) = listed("plan", "list")
    assert (plan["limits"], len(plan["rates"]), plan["on_failure"]) == ([{"limit": 7}], 2, "deny")
    run("plan", "update", "gold", "--limit", "", "--rate", "")
    (plan,) = listed("plan", "list")
    assert (plan["limits"], plan["rates"], plan["on_failure"]) == ([], [], "deny")
    assert "`limits[0].period`" in refused(UnprocessableError, "plan", "update", "gold", "--limit", "7")
    assert "`rates[0].rate`" in refused(UnprocessableError, "plan", "update", "gold", "--rate", "100001/second")
    assert "'all month'" in refused(UnprocessableError, "plan", "add", "x", "--limit", "7/month", "--limit", "8/month")


def test_a_change_of_limits_is_shown_and_applied(tmp_path: Path) -> None:
    run("catalog", "apply", "-", "--yes", typed=PLANS)
    file = tmp_path / "plans.toml"
    file.write_text(PLANS.replace("burst = 20", "burst = 30"), encoding="utf-8")

    said = '~ plan basic "b"\x7f: rates [{"rate":5,"burst":20}] → [{"rate":5,"burst":30}]'
    assert run("catalog", "diff", str(file)) == said
    run("catalog", "apply", "--yes", str(file))
    assert listed("plan", "list")[1]["rates"] == [{"rate": 5, "burst": 30}]
    assert run("catalog", "diff", str(file), "--check") == "No differences."
    file.write_text(PLANS.replace("limit = 10\n", "limit = -10\n"), encoding="utf-8")
    assert "$.plan[1].limits[1].limit" in refused(ConfigurationError, "catalog", "diff", str(file))


def test_units_are_granted_and_taken_back() -> None:
    run("plan", "add", "gold", "--limit", "1000/month")
    run("customer", "add", "Acme", "--external-id", "acme")
    one = run("subscription", "add", "acme", "gold", "--limit", "10/day:/a")

    assert run("subscription", "grants", one).startswith("No grants")
    grant = run("subscription", "grant", one, "all month", "500", "--note", "sorry")
    run("subscription", "grant", one, "/a day", "0.5", "--at", "2999-01-01T00:00:00Z")
    first, second = listed("subscription", "grants", one)
    assert (first["id"], first["limit"], first["units"], first["note"]) == (grant, "all month", "500", "sorry")
    assert second["period"] == {"start": "2999-01-01T00:00:00Z", "end": "2999-01-02T00:00:00Z"}
    assert "sorry" in run("subscription", "grants", one)
    assert "'all month', '/a day'" in refused(UnprocessableError, "subscription", "grant", one, "all week", "5")
    assert "`units`" in refused(UnprocessableError, "subscription", "grant", one, "all month", "many")
    assert run("subscription", "revoke-grant", one, grant) == f"Took {grant} back."
    assert len(listed("subscription", "grants", one)) == 1
    refused(NotFoundError, "subscription", "revoke-grant", one, grant)
    refused(NotFoundError, "subscription", "grants", "sub_none")
    entry = next(entry for entry in listed("audit") if entry["kind"] == "quota_grant")
    assert (entry["action"], entry["record"], entry["before"]["units"]) == ("delete", grant, 500_000_000)
