from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from tollkeeper.dashboard.assets import DIST, load_assets
from tollkeeper.errors import ConfigurationError

if TYPE_CHECKING:
    from pathlib import Path

    from litestar import Litestar
    from litestar.testing import TestClient


def test_assets_are_public_and_kept_for_ever(anonymous: TestClient[Litestar]) -> None:
    page = anonymous.get("/login").text
    addresses = re.findall(r'(?:href|src)="(/assets/[^"]+)"', page)
    assert len(addresses) >= 4
    for address in addresses:
        answer = anonymous.get(address)
        assert answer.status_code == 200
        assert "immutable" in answer.headers["cache-control"]
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert re.search(r"-[A-Z0-9]{8}\.\w+$", address)


@pytest.mark.parametrize(
    ("accepted", "encoding"),
    [
        ("gzip, br", "br"),
        ("gzip", "gzip"),
        ("br;q=0, gzip;q=0.5", "gzip"),
        ("br; q=0.00,gzip;q=0.0", None),
        ("GZIP", "gzip"),
        ("identity", None),
        ("", None),
    ],
)
def test_a_script_is_sent_as_the_browser_likes_it(
    anonymous: TestClient[Litestar], accepted: str, encoding: str | None
) -> None:
    name = load_assets().names["app.js"]
    with anonymous.stream("GET", f"/assets/{name}", headers={"Accept-Encoding": accepted}) as answer:
        raw = b"".join(answer.iter_raw())
    suffix = {"br": ".br", "gzip": ".gz", None: ""}[encoding]
    assert answer.headers.get("content-encoding") == encoding
    assert answer.headers["content-type"].startswith("text/javascript")
    assert answer.headers["vary"] == "Accept-Encoding"
    assert raw == (DIST / f"{name}{suffix}").read_bytes()


@pytest.mark.parametrize(
    "path",
    [
        "/assets/../app.py",
        "/assets/..%2F..%2Fapp.py",
        "/assets/%2e%2e%2f%2e%2e%2fapp.py",
        "/assets/manifest.json",
        "/assets/nothing.js",
        "/assets/app.py",
        "/assets/",
    ],
)
def test_nothing_else_is_sent(anonymous: TestClient[Litestar], path: str) -> None:
    answer = anonymous.get(path)
    assert answer.status_code in {401, 404}
    assert "Assets" not in answer.text


def test_the_licences_of_what_is_bundled_are_there() -> None:
    text = (DIST / "THIRD-PARTY.txt").read_text(encoding="utf-8")
    for name in ("echarts", "zrender", "htmx.org", "@fontsource-variable/inter", "tslib"):
        assert re.search(rf"^{name} \d", text, re.MULTILINE)


def test_missing_assets_say_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="pip install"):
        load_assets(tmp_path)
