from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from tollkeeper.errors import StoreError

if TYPE_CHECKING:
    from collections.abc import Callable

    from litestar import Litestar
    from litestar.testing import TestClient

    from tollkeeper.service.bootstrap import Service

    from .conftest import Fill

PAGES = ["/", "/requests", "/endpoints", "/login", "/login/abc", "/nowhere", "/?range=9y"]


@pytest.mark.parametrize("path", [*PAGES, "/consumers.csv"])
def test_every_answer_carries_the_headers(client: TestClient[Litestar], fill: Fill, path: str) -> None:
    fill()
    headers = client.get(path).headers
    assert "default-src 'self'" in headers["content-security-policy"]
    assert "frame-ancestors 'none'" in headers["content-security-policy"]
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] in {"same-origin", "no-referrer"}
    assert headers["cache-control"] == "no-store"


@pytest.mark.parametrize("path", PAGES)
def test_no_page_has_inline_script_or_style(client: TestClient[Litestar], fill: Fill, path: str) -> None:
    fill(3)
    text = client.get(path).text
    assert not re.search(r"<style|\sstyle=|\son[a-z]+=", text)
    kinds = re.findall(r"<script([^>]*)>", text)
    assert kinds
    assert all("src=" in kind or 'type="application/json"' in kind for kind in kinds)


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 303),
        ({"Sec-Fetch-Site": "same-origin"}, 303),
        ({"Sec-Fetch-Site": "none"}, 303),
        ({"Sec-Fetch-Site": "same-site"}, 403),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Sec-Fetch-Site": "cross-site", "Origin": "http://testserver.local"}, 403),
        ({"Origin": "http://testserver.local"}, 303),
        ({"Origin": "http://evil.example"}, 403),
        ({"Origin": "null"}, 403),
    ],
)
def test_a_write_from_another_site_is_refused(
    client: TestClient[Litestar], headers: dict[str, str], status: int
) -> None:
    answer = client.post("/logout", headers=headers)
    assert answer.status_code == status
    assert ("another site" in answer.text) == (status == 403)


def test_what_was_captured_is_escaped(client: TestClient[Litestar], fill: Fill) -> None:
    evil = "<script>alert(1)</script>\"'"
    fill(path=evil, route=evil, exception=evil, status_code=500)
    for path in ("/", "/requests", "/endpoints", "/requests/1"):
        text = client.get(path).text
        assert "<script>alert" not in text


def test_a_failing_store_is_a_page_without_details(
    service: Service, client: TestClient[Litestar], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(error: Exception) -> Callable[..., None]:
        def usage(*_: object) -> None:
            raise error

        return usage

    monkeypatch.setattr(type(service.events), "usage", fail(StoreError("The disk is full: make room.")))
    answer = client.get("/")
    assert (answer.status_code, "The disk is full" in answer.text) == (503, True)
    monkeypatch.setattr(type(service.events), "usage", fail(RuntimeError("secret detail")))
    answer = client.get("/")
    assert answer.status_code == 500
    assert "secret detail" not in answer.text
    assert "Something went wrong" in answer.text
    assert answer.headers["content-security-policy"]


def test_a_page_travels_packed_when_the_browser_can(client: TestClient[Litestar], fill: Fill) -> None:
    fill()
    packed = client.get("/", headers={"Accept-Encoding": "gzip"})
    plain = client.get("/", headers={"Accept-Encoding": "identity"})
    assert packed.headers["content-encoding"] == "gzip"
    assert "content-encoding" not in plain.headers
    assert int(packed.headers["content-length"]) * 4 < int(plain.headers["content-length"])
    assert "Accept-Encoding" in packed.headers["vary"]
    assert "Top consumers" in packed.text
