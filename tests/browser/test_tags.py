"""The pages of tags in a browser: for everybody, in both themes, wide and narrow, full and empty."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from tollkeeper.service.tags import NewTag, create_tag

from .conftest import _serve
from .test_accessible import assert_good

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from playwright.sync_api import Page

    from .conftest import Site, Theme

NAMES = ["/checkout", "/pricing", "sign-up button", "nightly export", "", "Übersicht " * 40, "never used"]


@pytest.fixture(scope="module")
def tagged(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    for site in _serve(tmp_path_factory.mktemp("tagged")):
        chance, now = random.Random(7), datetime.now(UTC)
        for place, name in enumerate(NAMES):
            tag = create_tag(site.service.tags, NewTag(name))
            times = sorted(now - timedelta(days=29 * chance.random() ** 1.3) for _ in range(900 >> 2 * place))
            site.service.tags.use([(tag.id, at) for at in times if place < len(NAMES) - 1])
        yield site


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [1440, 390])
def test_tags(tagged: Site, open_page: Callable[..., Page], axe: str, theme: Theme, width: int) -> None:
    page = open_page(tagged, theme=theme, width=width)
    page.goto(f"{tagged.url}/tags?range=30d")
    page.wait_for_load_state("networkidle")
    assert page.locator("#ranking tbody tr").count() == len(NAMES)
    assert page.locator("#ranking tbody tr:first-child td").nth(1).inner_text() == "900"
    assert_good(page, axe)
    page.click("text=/checkout")
    page.wait_for_selector("time-chart canvas")
    assert page.locator("h1").inner_text() == "/checkout"
    assert page.locator("nav [aria-current]").inner_text() == "Tags"
    assert page.locator(".kpi dd").all_inner_texts() == ["900", "900"]
    assert_good(page, axe)


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_no_tags(bare: Site, open_page: Callable[..., Page], axe: str, theme: Theme) -> None:
    page = open_page(bare, theme=theme)
    page.goto(f"{bare.url}/tags")
    assert page.get_by_text("/update?tag=page1").is_visible()
    assert_good(page, axe)


def test_a_click_into_the_chart_opens_that_time(tagged: Site, open_page: Callable[..., Page]) -> None:
    page = open_page(tagged)
    page.goto(f"{tagged.url}/tags?range=30d")
    page.click("text=/pricing")
    page.wait_for_selector("time-chart canvas")
    path = page.evaluate("location.pathname")
    page.locator("time-chart").click()
    page.wait_for_url("**from=**")
    assert page.evaluate("location.pathname") == path
    assert page.locator("h1").inner_text() == "/pricing"
