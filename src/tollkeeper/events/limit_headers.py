"""Where limits stand, as the fields ``RateLimit-Policy`` and ``RateLimit`` (draft-ietf-httpapi-ratelimit-headers-10).

Both are lists of Structured Fields (RFC 9651): a string is of printable ASCII, an integer has 15 digits at most.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import TYPE_CHECKING
from urllib.parse import quote

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tollkeeper.events.lease import LimitState

__all__ = ["limit_headers"]

MICRO = 1_000_000
MAX_INTEGER = 10**15 - 1
PRINTABLE = "".join(map(chr, range(0x20, 0x7F)))


def limit_headers(limits: Sequence[LimitState]) -> dict[str, str]:
    """The two fields for the limits that a call falls under, in their order; none without limits.

    Parts of units are rounded down, and seconds up: who comes when it says so, with what it says, is not too early.
    """
    if not limits:
        return {}
    policies, states = zip(*map(_items, limits), strict=True)
    return {"ratelimit-policy": ", ".join(policies), "ratelimit": ", ".join(states)}


def _items(limit: LimitState) -> tuple[str, str]:
    remaining = min(max(limit.remaining // MICRO, 0), MAX_INTEGER)
    seconds = min(max(math.ceil(limit.resets), 0), MAX_INTEGER)
    policy, name = _policy(limit.name, limit.quota, limit.window)
    return policy, f"{name};r={remaining};t={seconds}"


@lru_cache(maxsize=1024)
def _policy(name: str, quota: int, window: int) -> tuple[str, str]:
    """The item of a policy, which seldom changes, and the name in it; what no string may hold is percent-encoded."""
    text = quote(name, safe=PRINTABLE, errors="surrogatepass").replace("\\", "\\\\").replace('"', '\\"')
    units = min(max(quota // MICRO, 0), MAX_INTEGER)
    return f'"{text}";q={units};w={min(max(window, 1), MAX_INTEGER)}', f'"{text}"'
