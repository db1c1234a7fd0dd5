"""What the address of a page says: which span, which filters, and how to link to the same view of another page."""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode

from msgspec import Struct

from tollkeeper.dashboard.ranges import Range, parse_range
from tollkeeper.errors import InvalidRequestError
from tollkeeper.metering.usage import Filters

if TYPE_CHECKING:
    from litestar import Request

__all__ = ["View", "mount_prefix", "parse_view"]

FILTERS = ("method", "route", "consumer", "status")
RANGE = ("range", "from", "to")
STATUS = re.compile(r"[1-5]xx|[1-9][0-9]{2}")


class View(Struct, frozen=True, kw_only=True):
    """``root`` is the prefix that the dashboard is mounted under, ``path`` the page below it."""

    root: str
    path: str
    range: Range
    filters: Filters
    query: dict[str, str]

    @property
    def active_filters(self) -> dict[str, str]:
        """The filters that are on, by the name of their parameter."""
        return {name: value for name in FILTERS if (value := getattr(self.filters, name))}

    def url(self, path: str | None = None, **changes: str | None) -> str:
        """Link to a page with this view's span and filters; None drops a parameter, ``from_`` means ``from``."""
        query = self.range.query | self.active_filters
        changed = {name.rstrip("_"): value for name, value in changes.items()}
        if changed.keys() & set(RANGE):
            query = {name: value for name, value in query.items() if name not in RANGE}
        text = urlencode({name: value for name, value in (query | changed).items() if value})
        return quote(self.root + (path or self.path)) + (f"?{text}" if text else "")


def mount_prefix(request: Request[Any, Any, Any]) -> str:
    """The prefix that the dashboard is mounted under, as ``/tollkeeper``; empty at the root."""
    return str(request.scope.get("root_path") or "").rstrip("/")


def parse_view(request: Request[Any, Any, Any], *, hourly: bool = False) -> View:
    """Read the span and the filters out of a request; raises InvalidRequestError with what to write instead.

    ``hourly`` is for pages that tell consumers apart.
    """
    query = {name: value.strip() for name, value in request.query_params.items() if isinstance(value, str)}
    if any("\x00" in value for value in query.values()):
        raise InvalidRequestError("The address holds a NUL character: take it out.")
    chosen = {name: query[name] for name in FILTERS if query.get(name)}
    if "status" in chosen and not STATUS.fullmatch(chosen["status"].lower()):
        raise InvalidRequestError(f"status is {chosen['status']!r}: write a code like 404 or a class like 4xx.")
    if "method" in chosen:
        chosen["method"] = chosen["method"].upper()
    if "status" in chosen:
        chosen["status"] = chosen["status"].lower()
    return View(
        root=mount_prefix(request),
        path=request.scope["path"],
        range=parse_range(query, now=time.time_ns() // 1_000, hourly=hourly or "consumer" in chosen),
        filters=Filters(**chosen),
        query=query,
    )
