"""What a person does with the pages, in a real browser under the real content security policy."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

if TYPE_CHECKING:
    from collections.abc import Callable

    from playwright.sync_api import Page

    from .conftest import Site


def test_log_in_by_token_and_out(full: Site, open_page: Callable[..., Page]) -> None:
    page = open_page(full, session=False)
    page.goto(f"{full.url}/login")
    page.get_by_label("Token").fill(full.token)
    page.get_by_role("button", name="Log in").click()
    expect(page.get_by_role("heading", name="Overview")).to_be_visible()
    page.get_by_role("button", name="Log out").click()
    expect(page.get_by_label("Token")).to_be_visible()
    assert page.context.cookies() == []


def test_log_in_by_link(full: Site, open_page: Callable[..., Page]) -> None:
    code = full.service.access.create_login_link(full.service.access.authorize(full.token, "read"))
    page = open_page(full, session=False)
    page.goto(f"{full.url}/login/{code}")
    page.get_by_role("button", name="Open the dashboard").click()
    expect(page.get_by_role("heading", name="Overview")).to_be_visible()
    assert code not in page.url


def test_charts_are_drawn_and_explain_themselves(full: Site, open_page: Callable[..., Page]) -> None:
    page = open_page(full)
    page.goto(f"{full.url}/?range=30d")
    expect(page.locator("time-chart canvas")).to_have_count(4)
    chart = page.locator("time-chart").first
    before = chart.bounding_box()
    chart.hover()
    tooltip = chart.locator(".tooltip")
    expect(tooltip).to_contain_text("UTC")
    expect(tooltip).to_contain_text("2xx")
    assert chart.bounding_box() == before
    chart.click()
    page.wait_for_url(re.compile(r"from=20\d\d-\d\d-\d\dT\d\d%3A00&to="))
    expect(page.get_by_role("link", name="Remove the custom time")).to_be_visible()


def test_a_click_that_closes_a_menu_opens_nothing_else(full: Site, open_page: Callable[..., Page]) -> None:
    page = open_page(full)
    page.goto(f"{full.url}/?range=30d")
    expect(page.locator("time-chart canvas")).to_have_count(4)
    page.get_by_text("Filter", exact=True).click()
    expect(page.locator("details.menu[open]")).to_have_count(1)
    page.locator("time-chart").first.click()
    expect(page.locator("details.menu[open]")).to_have_count(0)
    page.wait_for_timeout(200)
    assert page.url.endswith("/?range=30d")
    page.locator("time-chart").first.click()
    page.wait_for_url(re.compile("from="))


@pytest.mark.parametrize("address", ["/requests?range=30d", "/requests?range=30d&status=2xx&method=GET"])
def test_the_log_fits_the_window_and_its_foot_is_in_sight(
    full: Site, open_page: Callable[..., Page], address: str
) -> None:
    page = open_page(full)
    page.goto(f"{full.url}{address}")
    assert page.evaluate("document.documentElement.scrollHeight - innerHeight") == 0
    expect(page.get_by_role("link", name="Older")).to_be_in_viewport(ratio=1)
    assert page.evaluate("(box => box.scrollHeight > box.clientHeight)(document.querySelector('.log .scroll'))")


def test_range_filters_and_chips_change_the_address(full: Site, open_page: Callable[..., Page]) -> None:
    page = open_page(full)
    page.goto(full.url)
    page.get_by_role("link", name="30d").click()
    page.wait_for_url("**/?range=30d")
    page.locator("#ranking").get_by_role("link", name="Customer 1", exact=True).click()
    page.wait_for_url("**/?range=30d&consumer=cus_1")
    page.get_by_text("Filter", exact=True).click()
    page.get_by_label("Status").select_option("4xx")
    page.get_by_role("button", name="Apply").click()
    page.wait_for_url(re.compile(r"range=30d.*consumer=cus_1.*status=4xx"))
    page.get_by_role("link", name="Request log").click()
    page.wait_for_url(re.compile(r"/requests\?range=30d&consumer=cus_1&status=4xx"))
    for status in page.locator("#log .status").all_inner_texts():
        assert status.startswith("4")
    page.get_by_role("link", name="Remove the filter consumer").click()
    page.wait_for_url("**/requests?range=30d&status=4xx")
    page.go_back()
    page.wait_for_url(re.compile(r"consumer=cus_1"))
    expect(page.get_by_role("link", name="Remove the filter consumer")).to_be_visible()


def test_sorting_changes_the_table_and_the_address_only(full: Site, open_page: Callable[..., Page]) -> None:
    page = open_page(full)
    page.goto(f"{full.url}/endpoints?range=30d")
    page.evaluate("document.querySelector('main').dataset.same = 'yes'")
    page.get_by_role("link", name="p95").click()
    page.wait_for_url("**/endpoints?range=30d&sort=-latency_p95")
    expect(page.locator("th[aria-sort=descending]")).to_have_text("p95")
    assert page.locator("main").get_attribute("data-same") == "yes"
    page.get_by_role("link", name="p95").click()
    page.wait_for_url("**/endpoints?range=30d&sort=latency_p95")
    expect(page.locator("th[aria-sort=ascending]")).to_have_text("p95")


def test_an_endpoint_opens_in_depth(full: Site, open_page: Callable[..., Page]) -> None:
    page = open_page(full)
    page.goto(f"{full.url}/endpoints?range=30d")
    page.get_by_role("link", name="GET /search").click()
    expect(page.locator("time-chart canvas")).to_have_count(2)
    expect(page.locator(".heat td")).to_have_count(7 * 24)


def test_the_drawer_opens_and_closes(full: Site, open_page: Callable[..., Page]) -> None:
    page = open_page(full)
    page.goto(f"{full.url}/requests?range=30d&status=5xx")
    first = page.locator("#log td:first-child a").first
    first.click()
    drawer = page.locator("dialog[open]")
    expect(drawer).to_contain_text("TimeoutError: upstream")
    expect(drawer).to_contain_text('"q": "<b>"')
    page.keyboard.press("Escape")
    expect(drawer).to_have_count(0)
    expect(first).to_be_focused()
    first.click()
    drawer.get_by_label("Close").click()
    expect(drawer).to_have_count(0)
    assert page.url.endswith("/requests?range=30d&status=5xx")


def test_the_live_log_adds_rows_and_pauses_under_the_drawer(bare: Site, open_page: Callable[..., Page]) -> None:
    page = open_page(bare)
    page.goto(f"{bare.url}/requests")
    rows = page.locator("#log tr:not([hidden])")
    expect(rows).to_have_count(0)
    bare.add(3, seed="first")
    expect(rows).to_have_count(3)
    page.locator("#log td:first-child a").first.click()
    expect(page.locator("dialog[open]")).to_be_visible()
    bare.add(2, seed="second")
    expect(page.locator("#live")).to_have_text("Paused")
    expect(rows).to_have_count(3)
    page.keyboard.press("Escape")
    expect(rows).to_have_count(5)
    expect(page.locator("#live")).to_have_text("Live")
    bare.add(250, seed="third")
    expect(rows).to_have_count(200)


def test_the_theme_is_chosen_and_kept(full: Site, open_page: Callable[..., Page]) -> None:
    page = open_page(full)
    page.goto(full.url)
    ground = "getComputedStyle(document.body).backgroundColor"
    light = page.evaluate(ground)
    page.get_by_role("button", name="Dark theme").click()
    dark = page.evaluate(ground)
    assert dark != light
    page.reload()
    assert page.evaluate(ground) == dark
    expect(page.get_by_role("button", name="Dark theme")).to_have_attribute("aria-pressed", "true")
    page.get_by_role("button", name="System theme").click()
    assert page.evaluate(ground) == light


def test_all_of_it_works_without_scripts(full: Site, open_page: Callable[..., Page]) -> None:
    page = open_page(full, scripts=False)
    page.goto(f"{full.url}/?range=30d")
    expect(page.locator(".kpi").first).to_contain_text("Requests")
    page.locator("figure .data summary").first.click()
    expect(page.locator("figure table").first).to_be_visible()
    page.get_by_role("link", name="Endpoints").click()
    page.get_by_role("link", name="p95").click()
    assert page.url.endswith("/endpoints?range=30d&sort=-latency_p95")
    page.get_by_text("Filter", exact=True).click()
    page.get_by_role("textbox", name="Endpoint").fill("/search")
    page.get_by_role("button", name="Apply").click()
    assert "route=%2Fsearch" in page.url
    page.get_by_role("link", name="Request log").click()
    page.get_by_role("link", name="Older").click()
    assert "after=" in page.url
    page.locator("#log td:first-child a").first.click()
    expect(page.get_by_role("heading", name="GET /search")).to_be_visible()
    page.get_by_role("button", name="Log out").click()
    expect(page.get_by_label("Token")).to_be_visible()
