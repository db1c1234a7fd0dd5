from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from tollkeeper.capture import useragent
from tollkeeper.capture.useragent import platform_and_browser

if TYPE_CHECKING:
    import pytest

CHROME = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 Chrome/85.0.4183.121 Safari/537.36"


def test_a_browser() -> None:
    assert platform_and_browser(CHROME) == ("windows", "chrome 85.0.4183.121")


def test_unknown_and_endless_agents() -> None:
    assert platform_and_browser("") == (None, "None None")
    assert platform_and_browser("something else") == (None, "None None")
    assert platform_and_browser("x" * 100_000) == (None, "None None")


def test_without_the_library(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ua_parser", None)
    useragent._parser.cache_clear()
    platform_and_browser.cache_clear()
    try:
        assert platform_and_browser(CHROME) == (None, None)
    finally:
        useragent._parser.cache_clear()
        platform_and_browser.cache_clear()
