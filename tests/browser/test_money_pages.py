"""Plans, invoices and revenue in a browser: for everybody, and what a person does with them."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import pytest
from playwright.sync_api import expect

from support.billing_shop import BillingShop, at
from support.money_shop import MoneyShop, open_money_shop

from .conftest import Site, _serve
from .test_accessible import assert_good, assert_opens

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from playwright.sync_api import Page

    from .conftest import Theme

CALLS = 60


class Office(NamedTuple):
    """A served dashboard and what was billed; whoever opens a page of ``site`` may change it."""

    site: Site
    money: MoneyShop
    final: str
    drafts: list[str]


@pytest.fixture(scope="module")
def office(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Office]:
    for site in _serve(tmp_path_factory.mktemp("money")):
        money = open_money_shop(site.service)
        shop = BillingShop(site.service.settings.store)
        shop.plan("team", currency="EUR", fee="20")
        for name in ("scripts", "plain"):
            shop.customer(name, plan="team", email="ap@acme.example")
            shop.call(name, at("2026-09-10"), CALLS)
        only = [shop.customers["scripts"], shop.customers["plain"]]
        shop.run("2026-09", at("2026-10-10"), customers=only)
        for name in ("scripts", "plain"):
            shop.call(name, at("2026-09-12"), 3)
            shop.call(name, at("2026-10-12"), 3)
        shop.run("2026-10", at("2026-11-01"), customers=only, finalize=False)
        final = shop.invoices("scripts")[0].id
        drafts = [shop.invoices(name)[-1].id for name in ("scripts", "plain")]
        shop.close()
        yield Office(site._replace(token=site.service.access.create_token("boss", "admin")), money, final, drafts)


@pytest.mark.parametrize(("theme", "width"), [("light", 1280), ("dark", 390)])
def test_with_data(office: Office, open_page: Callable[..., Page], axe: str, theme: Theme, width: int) -> None:
    page, money = open_page(office.site, theme=theme, width=width), office.money
    paths = [f"/invoices/{money.invoices['Acme Ltd', 'finalized']}", "/revenue"]
    if theme == "dark":
        paths += ["/plans", f"/plans/{money.plans['gold']}", "/invoices?state=draft", f"/invoices/{office.drafts[0]}"]
        paths += [f"/invoices/{office.final}/lines/2", f"/customers/{money.customers['Acme Ltd']}"]
    for path in paths:
        page.goto(office.site.url + path)
        expect(page.locator("nav [aria-current]")).to_be_in_viewport()
        assert_good(page, axe)


def test_empty(bare: Site, open_page: Callable[..., Page], axe: str) -> None:
    page = open_page(bare, width=390)
    for path, hint in (
        ("/plans", "tollkeeper plan add"),
        ("/invoices", "tollkeeper invoices run"),
        ("/revenue", "tollkeeper invoices run"),
    ):
        page.goto(bare.url + path)
        expect(page.get_by_text(hint).first).to_be_visible()
        assert_good(page, axe)


def test_what_opens(office: Office, open_page: Callable[..., Page], axe: str) -> None:
    page = open_page(office.site, theme="dark", width=390)
    for invoice, name in ((office.final, "Credit"), (office.drafts[0], "Finalize")):
        page.goto(f"{office.site.url}/invoices/{invoice}")
        assert_opens(page, name, axe)
    page.goto(f"{office.site.url}/invoices")
    page.click(".filter summary")
    assert_good(page, axe)


@pytest.mark.parametrize("scripts", [True, False])
def test_a_line_opens_down_to_a_request(office: Office, open_page: Callable[..., Page], scripts: bool) -> None:  # noqa: FBT001  # a parameter of pytest
    page = open_page(office.site, scripts=scripts)
    page.goto(f"{office.site.url}/invoices/{office.final}")
    page.get_by_role("link", name="maps v1 GET /maps").click()
    expect(page.locator("#ranking tbody tr")).to_have_count(50)
    page.get_by_role("link", name="Next").click()
    expect(page.locator("#ranking tbody tr")).to_have_count(CALLS - 50)
    page.locator("#ranking tbody tr a").first.click()
    expect(page.get_by_role("heading", name="GET /maps")).to_be_visible()


@pytest.mark.parametrize("scripts", [True, False])
def test_a_draft_is_made_final_and_paid(office: Office, open_page: Callable[..., Page], scripts: bool) -> None:  # noqa: FBT001  # a parameter of pytest
    page = open_page(office.site, scripts=scripts)
    page.goto(f"{office.site.url}/invoices/{office.drafts[not scripts]}")
    page.get_by_role("button", name="Finalize", exact=True).click()
    page.get_by_role("button", name="Finalize it").click()
    expect(page.locator(".title .state")).to_have_text("finalized")
    page.get_by_role("button", name="Mark as paid", exact=True).click()
    page.get_by_role("button", name="Mark as paid").locator("visible=true").last.click()
    expect(page.locator(".title .state")).to_have_text("paid")
    with page.expect_download() as download:
        page.get_by_role("link", name="PDF").click()
    assert download.value.suggested_filename.endswith(".pdf")


def test_a_click_on_a_month_opens_its_invoices(office: Office, open_page: Callable[..., Page]) -> None:
    page = open_page(office.site)
    page.goto(f"{office.site.url}/revenue?months=6")
    chart = page.locator("time-chart").first
    expect(chart.locator("canvas")).to_be_visible()
    box = chart.bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + box["width"] * 0.8, box["y"] + box["height"] / 2)
    expect(chart.locator(".tooltip")).to_contain_text("EUR")
    page.mouse.click(box["x"] + box["width"] * 0.8, box["y"] + box["height"] / 2)
    expect(page.get_by_role("heading", name="Invoices")).to_be_visible()
    assert "month=" in page.url
