"""Where quotas stand, over HTTP."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

import pytest

from support.quotas import Limited, open_limited
from support.stores import store_url
from tollkeeper.settings import Settings

if TYPE_CHECKING:
    from pathlib import Path

    from api.conftest import Api


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(store=store_url("sqlite", tmp_path))


@pytest.fixture
def limited(api: Api) -> Limited:
    return open_limited(api.service)


def items(api: Api, **query: Any) -> list[dict[str, Any]]:
    answer = api.read.get("/v1/quotas", params=query)
    assert answer.status_code == 200
    found: list[dict[str, Any]] = answer.json()["items"]
    return found


def test_quotas_are_shown_page_by_page(api: Api, limited: Limited) -> None:
    (full,) = items(api, subscription=limited.subscriptions["Hooli"], state="exceeded")
    assert (full["customer_name"], full["name"], full["quota"], full["remaining"]) == (
        "Hooli",
        "all month",
        "100000",
        "0",
    )
    assert len(items(api, customer=limited.customers["Hooli"])) == 2
    assert [one["customer_name"] for one in items(api, order="fullest", limit=2)] == ["Cyberdyne Systems", "Hooli"]
    first = api.read.get("/v1/quotas", params={"order": "fullest", "limit": 2})
    link = first.headers["link"].partition("<?")[2].partition(">")[0]
    assert parse_qs(link)["after"] == [first.json()["next"]]
    second = api.read.get(f"/v1/quotas?{link}").json()["items"]
    assert [one["share"] for one in second] == [0.97, 0.951]


@pytest.mark.parametrize("query", [{"state": "x"}, {"order": "x"}, {"limit": "0"}, {"after": "x"}])
def test_what_cannot_be_asked_is_refused(api: Api, query: dict[str, str]) -> None:
    assert api.read.get("/v1/quotas", params=query).status_code == 400


def test_only_who_may_read_is_answered(api: Api) -> None:
    assert api.ingest.get("/v1/quotas").status_code == 403
