"""Quotas, jobs and alerts in a browser: for everybody, and what a person does with them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, NamedTuple

import pytest
from playwright.sync_api import expect

from support.alerts import add_channel, add_rule
from support.quotas import LONG, Limited, open_limited
from tollkeeper.events.ids import record_id
from tollkeeper.service.job_runs import run_now
from tollkeeper.service.jobs import find_job
from tollkeeper.store.operations import Message

from .conftest import Site, _serve
from .test_accessible import assert_good, assert_opens

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from playwright.sync_api import Page

    from .conftest import Theme

JOB = "forget-runs"


class Store(NamedTuple):
    """A served dashboard and what is in it; whoever opens a page of ``site`` may change it."""

    site: Site
    limited: Limited


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    for site in _serve(tmp_path_factory.mktemp("gated")):
        service, now = site.service, datetime.now(UTC)
        limited = open_limited(service)
        channel, _ = add_channel(service, LONG)
        add_rule(service, "quota", LONG, channels=[channel.id])
        run_now(service.catalog, find_job(service, JOB))
        document = {"kind": "quota", "customer_name": LONG, "limit": "all month", "share": 1.0, "used": 7, "allowed": 7}
        with service.catalog.writing() as records:
            for state in ("dead", "pending", "delivered"):
                message_id = record_id("msg")
                message = Message(
                    id=message_id,
                    channel=channel.id,
                    subject=message_id,
                    cause=message_id,
                    document=document,
                    state=state,
                    attempts=3,
                    at=now,
                    error=None if state == "delivered" else f"https://{'long-' * 40}host answered 410 Gone.",
                    delivered_at=now if state == "delivered" else None,
                    created_at=now,
                )
                records.add(message)
        yield Store(site._replace(token=service.access.create_token("boss", "admin")), limited)


@pytest.mark.parametrize(("theme", "width"), [("light", 1440), ("dark", 390)])
def test_with_data(store: Store, open_page: Callable[..., Page], axe: str, theme: Theme, width: int) -> None:
    page = open_page(store.site, theme=theme, width=width)
    for path in (
        *("/quotas", "/quotas?state=near&order=made", "/customers", f"/customers/{store.limited.customers['Globex']}"),
        *("/jobs", f"/jobs/{JOB}", "/alerts", "/alerts/messages", "/alerts/messages?state=dead"),
    ):
        page.goto(store.site.url + path)
        expect(page.locator("nav [aria-current]")).to_be_in_viewport()
        assert_good(page, axe)


def test_empty(bare: Site, open_page: Callable[..., Page], axe: str) -> None:
    page = open_page(bare, width=390)
    for path, hint in (
        ("/quotas", "tollkeeper plan add"),
        (f"/jobs/{JOB}", "tollkeeper serve"),
        ("/alerts", "tollkeeper alerts channels add"),
        ("/alerts/messages", "Make a rule"),
    ):
        page.goto(bare.url + path)
        expect(page.get_by_text(hint).first).to_be_visible()
        assert_good(page, axe)


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_what_opens(store: Store, open_page: Callable[..., Page], axe: str, theme: Theme) -> None:
    page = open_page(store.site, theme=theme, width=390)
    for path, name in (
        (f"/customers/{store.limited.customers['Globex']}", "Grant"),
        ("/alerts", "New rule"),
        ("/alerts", "New channel"),
        ("/alerts", "Delete"),
    ):
        page.goto(store.site.url + path)
        assert_opens(page, name, axe)
    page.goto(f"{store.site.url}/quotas")
    page.click(".filter summary")
    assert_good(page, axe)


@pytest.mark.parametrize("scripts", [True, False])
def test_units_are_granted(store: Store, open_page: Callable[..., Page], scripts: bool) -> None:  # noqa: FBT001  # a parameter of pytest
    name = "Hooli" if scripts else "Umbrella Health"
    page = open_page(store.site, scripts=scripts)
    page.goto(f"{store.site.url}/quotas")
    page.get_by_role("link", name=name).first.click()
    month = page.locator("#subscriptions tbody tr", has_text="100,000 a month")
    month.get_by_role("button", name="Grant", exact=True).click()
    page.get_by_label("Units", exact=True).locator("visible=true").fill("300000")
    page.get_by_role("button", name="Grant the units").locator("visible=true").click()
    expect(month.locator(".meter")).to_have_text("25%" if scripts else "24%")
    expect(month).to_contain_text("of 400,000")


def test_a_rule_is_made_and_a_job_run(store: Store, open_page: Callable[..., Page]) -> None:
    page = open_page(store.site)
    page.goto(f"{store.site.url}/alerts")
    page.get_by_role("button", name="New rule").click()
    page.get_by_label("Name").locator("visible=true").fill("slow")
    page.get_by_label("Tell when").select_option("latency")
    page.get_by_label("Threshold").fill("0.5")
    page.get_by_role("button", name="Make the rule").click()
    rule = page.locator("#rules tbody tr", has_text="slow")
    expect(rule).to_contain_text("The 95th percentile of 5 minutes reaches 0.5 s")
    rule.get_by_role("button", name="Pause").click()
    expect(rule.locator(".state")).to_have_text("paused")
    page.get_by_role("link", name="Jobs").click()
    page.locator("tr", has_text=JOB).get_by_role("button", name="Run now").click()
    expect(page.get_by_role("heading", name=JOB)).to_be_visible()
    expect(page.locator("#ranking tbody tr").first.locator(".state")).to_have_text("done")
