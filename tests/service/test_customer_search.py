"""Finding customers, on each engine."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from support.stores import ENGINES, store_url
from tollkeeper.service.audit import editing
from tollkeeper.service.bootstrap import Service, open_service
from tollkeeper.service.customer_search import search_customers
from tollkeeper.service.customers import NewCustomer, create_customer
from tollkeeper.service.keys import NewKey
from tollkeeper.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(params=ENGINES)
def service(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Service]:
    service = open_service(Settings(store=store_url(request.param, tmp_path)))
    with editing(service.catalog, "ann") as edit:
        for number in range(25):
            create_customer(edit, NewCustomer(name=f"Über {number:02}", external_id=f"ext-{number}", email="A@Shop.x"))
        other = create_customer(edit, NewCustomer(name="100%_\\"))
        for number in range(2):
            service.keys.create(edit, NewKey(customer=other.id, key=f"sk_live_{number:012}"))
    yield service
    service.close()


def names(service: Service, text: str, *, after: str | None = None, limit: int = 50) -> tuple[list[str], str | None]:
    with service.catalog.reading() as records:
        listed = search_customers(records, text, after=after, limit=limit)
    return [customer.name for customer in listed.items], listed.next


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("", 26),
        ("über", 25),
        ("ÜBER", 25),
        ("ÜBER 07", 1),
        ("shop", 25),
        ("EXT-1", 11),
        ("%_\\", 1),
        ("_", 1),
        ("zz", 0),
    ],
)
def test_a_text_is_looked_for_as_it_is_in_any_case_of_letters(service: Service, text: str, count: int) -> None:
    found, following = names(service, f"  {text} ")
    assert (len(found), following) == (count, None)


@pytest.mark.parametrize("text", ["\ud800", "a\0b", "x" * 5000])
def test_a_text_that_no_store_has_finds_nothing(service: Service, text: str) -> None:
    assert names(service, text) == ([], None)


def test_pages_follow_one_another(service: Service) -> None:
    seen: list[str] = []
    after: str | None = None
    for _ in range(3):
        found, after = names(service, "über", after=after, limit=10)
        seen += found
    assert seen == [f"Über {number:02}" for number in range(25)]
    assert after is None


def test_a_page_looks_at_so_many_and_no_more(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tollkeeper.service.customer_search.CHUNK", 5)
    monkeypatch.setattr("tollkeeper.service.customer_search.SCANNED", 10)
    found, after = names(service, "über 12")
    assert (found, after is None) == ([], False)
    assert names(service, "über 12", after=after)[0] == ["Über 12"]


def test_all_keys_that_begin_alike_lead_to_their_customers(service: Service) -> None:
    assert names(service, "sk_live_") == (["100%_\\"], None)
    assert names(service, "sk_liv") == ([], None)
