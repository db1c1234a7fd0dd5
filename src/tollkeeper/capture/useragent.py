"""Platform and browser from a User-Agent header, where ua-parser is installed."""

from __future__ import annotations

from functools import cache, lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ua_parser import Parser

__all__ = ["platform_and_browser"]

# What ua-parser spends grows with the length, and what is beyond this names no browser.
MAX_CHARS = 512


@lru_cache(maxsize=2048)
def platform_and_browser(user_agent: str) -> tuple[str | None, str | None]:
    """Like ``("windows", "chrome 85.0.4183.121")``; unknown is ``(None, "None None")``.

    Both are None without ua-parser. Slow for an agent not seen before (milliseconds): call it off the request.
    """
    parser = _parser()
    if parser is None:
        return None, None
    text = user_agent[:MAX_CHARS]
    system = parser.parse_os(text)
    browser = parser.parse_user_agent(text)
    platform = None if system is None else system.family.lower()
    if browser is None:
        return platform, "None None"
    numbers = [part for part in (browser.major, browser.minor, browser.patch, browser.patch_minor) if part]
    return platform, f"{browser.family.lower()} {'.'.join(numbers) or None}"


@cache
def _parser() -> Parser | None:
    try:
        from ua_parser import (  # noqa: PLC0415 - an extra, and slow to import
            BestAvailableResolver,
            Parser,
            load_lazy_builtins,
        )
    except ImportError:
        return None
    # Without its cache, whose lock would be held for ever in the child of a fork; answers are remembered above.
    return Parser(BestAvailableResolver(load_lazy_builtins()))
