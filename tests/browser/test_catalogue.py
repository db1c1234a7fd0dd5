"""The pages of what is sold to whom in a browser: for everybody, and what a person does with them."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import TYPE_CHECKING, NamedTuple

import pytest
from playwright.sync_api import expect

from support.shop import Shop, call, open_shop

from .conftest import Site, _serve
from .test_accessible import assert_good, assert_opens

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from playwright.sync_api import Page

    from .conftest import Theme


class Store(NamedTuple):
    """A served dashboard and what is in it; whoever opens a page of ``site`` may change it."""

    site: Site
    shop: Shop


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    for site in _serve(tmp_path_factory.mktemp("sold")):
        shop = open_shop(site.service)
        call(site.service, shop.fingerprint, 300, spread=timedelta(days=20))
        call(site.service, "key_unknown", 30, spread=timedelta(days=20), api="stock")
        call(site.service, "key_unknown", 30, spread=timedelta(days=20), api_version="v9")
        yield Store(site._replace(token=site.service.access.create_token("boss", "admin")), shop)


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [1440, 390])
def test_with_data(store: Store, open_page: Callable[..., Page], axe: str, theme: Theme, width: int) -> None:
    page = open_page(store.site, theme=theme, width=width)
    shop = store.shop
    for path in (
        *("/customers", "/customers?q=zzz", f"/customers/{shop.customer}?range=30d", f"/customers/{shop.evil}"),
        *("/apis?range=30d", f"/apis/{shop.api}?range=30d", f"/apis/{shop.api}/{shop.route}?range=30d"),
        *(f"/apis/{shop.api}/{shop.default_route}?range=30d", "/audit", "/audit?kind=customer&actor=bob"),
    ):
        page.goto(store.site.url + path)
        page.wait_for_load_state("networkidle")
        expect(page.locator("nav [aria-current]")).to_be_in_viewport()
        assert_good(page, axe)


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [1440, 390])
def test_empty(bare: Site, open_page: Callable[..., Page], axe: str, theme: Theme, width: int) -> None:
    page = open_page(bare, theme=theme, width=width)
    for path, hint in (("/customers", "customer add"), ("/apis", "api add"), ("/audit", "api add")):
        page.goto(bare.url + path)
        expect(page.get_by_text(f"tollkeeper {hint}").first).to_be_visible()
        assert_good(page, axe)


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_what_opens(store: Store, open_page: Callable[..., Page], axe: str, theme: Theme) -> None:
    page = open_page(store.site, theme=theme)
    page.goto(f"{store.site.url}/customers/{store.shop.customer}")
    for name in ("New key", "Rotate", "Pause", "Cancel"):
        assert_opens(page, name, axe)
    page.goto(f"{store.site.url}/audit")
    page.click(".filter summary")
    page.locator("details.data summary").first.click(force=True)
    assert_good(page, axe)


@pytest.mark.parametrize("scripts", [True, False])
def test_a_key_is_made_shown_once_and_revoked(store: Store, open_page: Callable[..., Page], scripts: bool) -> None:  # noqa: FBT001  # a parameter of pytest
    page = open_page(store.site, scripts=scripts)
    page.goto(f"{store.site.url}/customers")
    page.get_by_role("searchbox").fill("acme")
    page.get_by_role("button", name="Search").click()
    page.get_by_role("link", name="Acme", exact=True).click()
    page.get_by_role("button", name="New key").click()
    page.get_by_role("button", name="Make the key").click()
    expect(page.get_by_role("heading", name="Copy it now")).to_be_visible()
    secret = page.get_by_label("The key", exact=True).input_value()
    assert re.fullmatch(r"tk_\w{49}", secret)
    with store.site.service.catalog.reading() as records:
        made = store.site.service.keys.find(records, secret)
    assert made is not None
    if scripts:
        page.context.grant_permissions(["clipboard-read", "clipboard-write"])
        page.get_by_role("button", name="Copy").click()
        expect(page.get_by_role("button", name="Copied")).to_be_visible()
        assert page.evaluate("navigator.clipboard.readText()") == secret
    page.get_by_role("link", name="I have copied it").click()
    expect(page.get_by_role("heading", name="Acme", exact=True)).to_be_visible()
    assert secret not in page.content()
    row = page.locator("#keys tbody tr", has_text=made.prefix)
    expect(row).to_contain_text("active")
    row.get_by_role("button", name="Revoke", exact=True).click()
    page.get_by_role("button", name="Revoke the key").locator("visible=true").click()
    expect(row).to_contain_text("revoked")
    expect(row.get_by_role("button")).to_have_count(0)
    if scripts:
        page.go_back()
        page.go_back()
        expect(page.get_by_role("heading", name="Acme", exact=True)).to_be_visible()
        assert secret not in page.content()


def test_a_subscription_is_paused_resumed_and_cancelled(store: Store, open_page: Callable[..., Page]) -> None:
    page = open_page(store.site)
    page.goto(f"{store.site.url}/customers/{store.shop.evil}")
    part = page.locator("#subscriptions article").first
    part.get_by_role("button", name="Pause", exact=True).click()
    part.get_by_role("button", name="Pause", exact=True).locator("visible=true").last.click()
    expect(part.locator(".state")).to_have_text("paused")
    part.get_by_role("button", name="Resume").click()
    expect(part.locator(".state")).to_have_text("active")
    part.get_by_role("button", name="Cancel", exact=True).click()
    page.get_by_role("button", name="Cancel the subscription").locator("visible=true").click()
    expect(part.locator(".state")).to_have_text("cancelled")
    page.get_by_role("link", name="Audit log").click()
    expect(page.locator(".changes tbody tr").first).to_contain_text("cancelled_at")
    expect(page.locator(".changes tbody tr").first).to_contain_text("boss")
