"""What a WSGI environ tells of a request: noted on its thread, read later."""

from __future__ import annotations

from operator import itemgetter
from typing import TYPE_CHECKING, Any

from tollkeeper.capture.exchange import RequestFacts

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tollkeeper.capture.exchange import Exchange

__all__ = ["header_pairs", "note_environ", "read_environ"]

ALWAYS = (
    "REQUEST_METHOD",
    "SCRIPT_NAME",
    "PATH_INFO",
    "QUERY_STRING",
    "wsgi.url_scheme",
    "SERVER_NAME",
    "SERVER_PORT",
    "REMOTE_ADDR",
)
SOMETIMES = (
    "HTTP_HOST",
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
NOTHING = ("",) * len(SOMETIMES)
MAX_DIGITS = 12


_always = itemgetter(*ALWAYS)


def note_environ(environ: Mapping[str, Any]) -> tuple[Any, ...]:
    """The variables that are kept of every request, for ``read_environ``; some values of an odd server may be None."""
    try:
        always: tuple[Any, ...] = _always(environ)
    except KeyError:  # a server must give only some of them
        always = tuple([environ.get(name, "") for name in ALWAYS])
    return always + tuple(map(environ.get, SOMETIMES, NOTHING))


def read_environ(exchange: Exchange) -> RequestFacts:
    """Read what ``note_environ`` and ``header_pairs`` have noted."""
    method, mount, path, query, scheme, name, port, peer, host, real, via, *told = exchange.noted
    referer, origin, agent, authorization, key, other_key, content_type, length = told
    return RequestFacts(
        method=method,
        path=f"{mount or ''}{path or ''}".encode("latin-1", "replace"),
        mount=mount or "",
        scheme=scheme or "http",
        host=host or f"{name}:{port}",
        query=query or "",
        peer=peer or None,
        forwarded=real or (via or "").partition(",")[0].strip() or None,
        referer=referer or None,
        origin=origin or None,
        user_agent=agent or None,
        authorization=authorization or None,
        api_key=key or other_key or None,
        content_type=content_type or "",
        content_length=int(length) if length and length.isdecimal() and len(length) <= MAX_DIGITS else None,
        headers=[(_spelled(name), value) for name, value in exchange.request_headers] if exchange.detailed else None,
    )


def header_pairs(environ: Mapping[str, object]) -> list[tuple[str, str]]:
    """The request's headers under their names in the environ."""
    return [
        (name, value)
        for name, value in environ.items()
        if isinstance(value, str) and value and (name[:5] == "HTTP_" or name in {"CONTENT_TYPE", "CONTENT_LENGTH"})
    ]


def _spelled(name: str) -> str:
    return name.removeprefix("HTTP_").replace("_", "-").title()
