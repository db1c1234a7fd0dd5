"""What a browser can unpack."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from litestar import Request

__all__ = ["accepted_encodings"]

REFUSED = re.compile(r"\s*q\s*=\s*0(\.0*)?\s*")


def accepted_encodings(request: Request[Any, Any, Any]) -> set[str]:
    """The codings that the Accept-Encoding header of a request names and does not refuse, in lower case."""
    accepted = set()
    for part in request.headers.get("accept-encoding", "").lower().split(","):
        name, _, weight = part.partition(";")
        if not REFUSED.fullmatch(weight):
            accepted.add(name.strip())
    return accepted
