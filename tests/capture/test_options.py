from __future__ import annotations

from typing import Any

import pytest

from tollkeeper.capture.content import KEPT
from tollkeeper.capture.options import read_options
from tollkeeper.errors import ConfigurationError


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"capture": "all"}, "'metadata', 'headers' or 'bodies'"),
        ({"ip": "half"}, "'full', 'truncated' or 'none'"),
        ({"sample": 2}, "from 0 to 1"),
        ({"max_body_bytes": -1}, "0 or more"),
        ({"deny": "password"}, r"\['password'\]"),
        ({"exclude": "/health"}, r"\['/health'\]"),
        ({"exclude": [True]}, "routes"),
        ({"exclude": ["not a method"]}, "routes"),
        ({"exclude": [3.5]}, "routes"),
        ({"excludes": []}, "Unknown option excludes"),
    ],
)
def test_what_is_wrong_is_said(options: Any, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        read_options(options)


def test_the_defaults() -> None:
    options = read_options({})
    assert (options.level, options.max_body_bytes, options.content_types) == ("bodies", 16384, KEPT)
    assert (options.sample, options.ip, options.asked) == (1.0, "full", ())
    assert not options.excludes("GET", "/", 200)


def test_texts_and_functions_are_told_apart() -> None:
    def asked(_: object) -> bool:
        return True

    options = read_options({"api": "shop", "api_version": str, "identify": str, "exclude": [asked, "/a"]})
    assert (options.api, options.api_version) == ("shop", None)
    assert options.asked == (("exclude", asked), ("consumer", str), ("api_version", str))


@pytest.mark.parametrize(
    ("request_", "excluded"),
    [
        (("GET", "/health", 200), True),
        (("GET", "/healthy", 200), False),
        (("GET", "/static/{path}", 200), True),
        (("options", "/x", 200), False),
        (("OPTIONS", "/x", 200), True),
        (("GET", "/x", 404), True),
        (("GET", "(unmatched)", 405), True),
        (("GET", "/x", 500), False),
    ],
)
def test_exclusion_by_route_method_and_status(request_: tuple[str, str, int], *, excluded: bool) -> None:
    options = read_options({"exclude": ["/health", "/static/*", "options", 404, "(unmatched)"]})
    assert options.excludes(*request_) is excluded
