"""The pages of errors in a browser: for everybody, and a report that is corrected and replayed."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from support.shop import open_shop
from tollkeeper.billing.customer import ApiKey, Customer
from tollkeeper.billing.failure import ApiError
from tollkeeper.events.ids import new_id, record_id
from tollkeeper.service.audit import editing

from .conftest import Site, _serve
from .test_accessible import assert_good

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from playwright.sync_api import Page

    from .conftest import Theme

SENT = '{"apiName":"orders","apiversion":"v1","endPointName":"/orders/7","clientIPAdress":"203.0.113.7"}'


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    for site in _serve(tmp_path_factory.mktemp("wrong")):
        open_shop(site.service)
        yield site._replace(token=site.service.access.create_token("boss", "admin"))


def refused(site: Site) -> str:
    """Keep a report of Acme that misses something; the address of its error."""
    with editing(site.service.catalog, "ann") as edit:
        acme = edit.records.find(Customer, external_id="acme")[0]
        error = ApiError(
            id=record_id("err"),
            is_internal=True,
            internal_error_status=0,
            code="missing_parameter",
            consumer=edit.records.find(ApiKey, customer=acme.id)[0].fingerprint,
            error_message="Missing: httpStatusCode, timeTakenInMilliSeconds.",
            input_data=SENT,
            event_source="usage-reports",
            event_id=new_id(),
            at=datetime.now(UTC),
            created_at=datetime.now(UTC),
        )
        edit.add(error)
    return f"{site.url}/errors/{error.id}"


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [1440, 390])
def test_everybody_can_read_them(
    site: Site, open_page: Callable[..., Page], axe: str, theme: Theme, width: int
) -> None:
    page = open_page(site, theme=theme, width=width)
    for address in (refused(site), f"{site.url}/errors?state=all", f"{site.url}/errors?code=zzz"):
        page.goto(address)
        page.wait_for_load_state("networkidle")
        expect(page.locator("nav [aria-current]")).to_be_in_viewport()
        assert_good(page, axe)


@pytest.mark.parametrize("scripts", [True, False])
def test_a_report_is_corrected_and_replayed(site: Site, open_page: Callable[..., Page], *, scripts: bool) -> None:
    page = open_page(site, scripts=scripts)
    address = refused(site)
    page.goto(address)
    page.get_by_label("httpStatusCode").fill("200")
    page.get_by_label("timeTakenInMilliSeconds").fill("8")
    page.get_by_role("button", name="Replay the report").click()
    expect(page.get_by_role("status")).to_contain_text("its call is counted once")
    expect(page.locator("h1 + .state")).to_have_text("resolved")
    expect(page.get_by_role("button", name="Replay the report")).to_have_count(0)
    page.get_by_role("link", name="← Errors").click()
    expect(page.get_by_role("heading", name="Errors", exact=True)).to_be_visible()
    assert page.locator(f'a[href$="{address.rpartition("/")[2]}"]').count() == 0


def test_an_error_is_resolved(site: Site, open_page: Callable[..., Page], axe: str) -> None:
    page = open_page(site)
    page.goto(refused(site))
    opener = page.get_by_role("button", name="Resolve", exact=True).first
    opener.click()
    expect(page.get_by_role("dialog")).to_contain_text("Nothing is replayed.")
    assert_good(page, axe)
    page.get_by_role("dialog").get_by_role("button", name="Resolve", exact=True).click()
    expect(page.get_by_role("status")).to_contain_text("It is resolved.")
