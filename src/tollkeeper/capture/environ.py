"""What a WSGI environ tells of a request: noted on its thread, read later."""

from __future__ import annotations

from functools import lru_cache
from secrets import token_hex
from typing import TYPE_CHECKING, Any

from tollkeeper.capture.exchange import Headers, RequestFacts

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tollkeeper.capture.exchange import Exchange

__all__ = ["ENVIRON_KEY", "note_environ", "note_headers", "read_environ"]

ENVIRON_KEY = "tollkeeper.exchange"
"""Where the exchange of a request stands in its environ."""

NAMES = (
    "HTTP_HOST",
    "REQUEST_METHOD",
    "SCRIPT_NAME",
    "PATH_INFO",
    "QUERY_STRING",
    "wsgi.url_scheme",
    "REMOTE_ADDR",
    "HTTP_X_REAL_IP",
    "HTTP_X_FORWARDED_FOR",
    "HTTP_REFERER",
    "HTTP_ORIGIN",
    "HTTP_USER_AGENT",
    "HTTP_AUTHORIZATION",
    "HTTP_X_API_KEY",
    "HTTP_APIKEY",
    "CONTENT_TYPE",
    "CONTENT_LENGTH",
)
NOTHING = ("",) * len(NAMES)
HEADER, NAMED = "HTTP_", "\0"
MAX_DIGITS = 12
BETWEEN = f"\0{token_hex(4)}"
"""Stands between what is noted: no text that a client sends has it, as it may have any single character."""


def note_environ(environ: Mapping[str, Any]) -> str:
    """The variables that are kept of every request, for ``read_environ``.

    As one text, so that the server's own are let go of: the next request gets their memory, which is in the cache.
    """
    if environ.get("HTTP_HOST"):
        try:
            return BETWEEN.join(map(environ.get, NAMES, NOTHING))
        except TypeError:  # some values of an odd server are None
            pass
    noted = [str(environ.get(name) or "") for name in NAMES]
    noted[0] = noted[0] or f"{environ.get('SERVER_NAME', '')}:{environ.get('SERVER_PORT', '')}"
    return BETWEEN.join(noted)


def note_headers(environ: Mapping[str, object]) -> str:
    """The request's headers, for ``read_environ``: as one text, too, and with little work for each."""
    return BETWEEN.join(
        [f"{name}{NAMED}{value}" for name, value in environ.items() if HEADER in name and type(value) is str]
    )


def read_environ(exchange: Exchange) -> RequestFacts:
    """Read what ``note_environ`` and ``note_headers`` have noted."""
    host, method, mount, path, query, scheme, peer, real, via, *told = exchange.noted.split(BETWEEN)
    referer, origin, agent, authorization, key, other_key, content_type, length = told
    return RequestFacts(
        method=method,
        path=f"{mount}{path}".encode("latin-1", "replace"),
        mount=mount,
        scheme=scheme or "http",
        host=host,
        query=query,
        peer=peer or None,
        forwarded=real or via.partition(",")[0].strip() or None,
        referer=referer or None,
        origin=origin or None,
        user_agent=agent or None,
        authorization=authorization or None,
        api_key=key or other_key or None,
        content_type=content_type,
        content_length=int(length) if length.isdecimal() and len(length) <= MAX_DIGITS else None,
        headers=_headers(exchange, content_type, length) if exchange.detailed else None,
    )


def _headers(exchange: Exchange, content_type: str, length: str) -> Headers:
    noted = [text.partition(NAMED) for text in exchange.request_headers.split(BETWEEN)]
    told = [(_spelled(name), value) for name, _, value in noted if name.startswith(HEADER)]
    return [
        (name, value) for name, value in (("Content-Type", content_type), ("Content-Length", length), *told) if value
    ]


@lru_cache(maxsize=1024)
def _spelled(name: str) -> str:
    return name.removeprefix(HEADER).replace("_", "-").title()
