"""Every page, in both themes, wide and narrow, full and empty: for everybody, and nothing sticks out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from playwright.sync_api import expect

if TYPE_CHECKING:
    from collections.abc import Callable

    from playwright.sync_api import Page

    from .conftest import Site, Theme

PAGES = ["/?range=30d", "/requests?range=30d", "/endpoints?range=30d"]
MORE = [
    "/endpoints?range=30d&route=/search&method=GET",
    "/requests/1",
    "/login",
    "/login/abc",
    "/?range=30d&consumer=cus_1",
]


def assert_good(page: Page, axe: str) -> None:
    """Hold a page against axe, run from outside because the policy lets no foreign script in, and against its width."""
    excess = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    assert excess <= 0, f"{page.url} is {excess} px too wide"
    page.evaluate(axe)
    result: dict[str, Any] = page.evaluate("axe.run({resultTypes: ['violations']})")
    found = [(one["id"], [node["html"][:160] for node in one["nodes"]]) for one in result["violations"]]
    assert found == [], page.url


def assert_opens(page: Page, name: str, axe: str) -> None:
    """Open what the first button of that name opens, by the keyboard, hold it against axe, and close it."""
    opener, opened = page.get_by_role("button", name=name, exact=True).first, page.locator("[popover]:popover-open")
    opener.focus()
    page.keyboard.press("Enter")
    expect(opened).to_be_visible()
    assert_good(page, axe)
    page.keyboard.press("Escape")
    expect(opened).to_have_count(0)
    expect(opener).to_be_focused()


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [1440, 390])
def test_with_data(full: Site, open_page: Callable[..., Page], axe: str, theme: Theme, width: int) -> None:
    page = open_page(full, theme=theme, width=width)
    for path in PAGES + MORE:
        page.goto(full.url + path)
        page.wait_for_load_state("networkidle")
        assert_good(page, axe)


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [1440, 390])
def test_empty(bare: Site, open_page: Callable[..., Page], axe: str, theme: Theme, width: int) -> None:
    page = open_page(bare, theme=theme, width=width)
    for path in PAGES:
        page.goto(bare.url + path)
        assert page.get_by_text("tollkeeper import access-log").is_visible()
        assert_good(page, axe)


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_what_opens(full: Site, open_page: Callable[..., Page], axe: str, theme: Theme) -> None:
    page = open_page(full, theme=theme)
    page.goto(f"{full.url}/?range=30d")
    page.click(".filter summary")
    assert_good(page, axe)
    page.keyboard.press("Escape")
    page.click(".range summary")
    page.locator("figure .data summary").first.click()
    assert_good(page, axe)
    page.goto(f"{full.url}/requests?range=30d&status=5xx")
    page.click("#log time >> nth=0")
    page.wait_for_selector("dialog[open] article")
    assert_good(page, axe)
