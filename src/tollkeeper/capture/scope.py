"""What an ASGI scope tells of a request: noted on its event loop, read later."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import unquote, unquote_to_bytes

from tollkeeper.capture.exchange import Exchange, RequestFacts

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tollkeeper.capture.asgi_types import Scope
    from tollkeeper.log import QuietLog

__all__ = ["SCOPE_KEY", "ScopeExchange", "header_pairs", "header_value"]

SCOPE_KEY = "tollkeeper.exchange"
TOLD = frozenset(
    {
        b"host",
        b"x-real-ip",
        b"x-forwarded-for",
        b"referer",
        b"origin",
        b"user-agent",
        b"authorization",
        b"x-api-key",
        b"apikey",
        b"content-type",
        b"content-length",
    }
)
MAX_DIGITS = 12


class ScopeExchange(Exchange):
    """An exchange that notes down the scope of its request; ``detailed`` keeps all of its headers."""

    @classmethod
    def of(cls, source: str, scope: Scope, log: QuietLog, outer: Exchange | None, *, detailed: bool) -> Self:
        """Begin one; raises whatever a scope without its method, path or headers leads to."""
        get = scope.get
        client, server = get("client"), get("server")
        noted = (
            scope["method"],
            scope["path"],
            (get("raw_path") or b"").decode("latin-1"),
            (get("query_string") or b"").decode("latin-1"),
            get("scheme") or "http",
            client[0] if client else "",
            server[0] if server else "",
            str(server[1] or "") if server else "",
        )
        pairs = header_pairs(scope["headers"])
        headers = pairs if detailed else [pair for pair in pairs if pair[0] in TOLD]
        exchange = cls(source, noted, read_scope, log, outer)
        exchange.detailed, exchange.plain = detailed, not detailed
        exchange.request_headers = headers
        return exchange

    @property
    def method(self) -> str:
        """The method, as it came."""
        return self.noted[0]  # type: ignore[no-any-return]  # a server's

    @property
    def path(self) -> str:
        """The path as it came: some frameworks cut the one in the scope."""
        return self.noted[1]  # type: ignore[no-any-return]  # a server's

    def weight(self) -> int:
        """Bytes that it holds in memory, about."""
        weight = Exchange.weight(self)
        return weight if self.detailed else weight + sum([len(value) for _, value in self.request_headers])


def header_pairs(headers: Iterable[tuple[Any, Any]]) -> tuple[tuple[Any, Any], ...]:
    """Headers as they are now; none of those that can be read only once, for they are somebody else's to read."""
    return tuple(headers) if type(headers) is list or not isinstance(headers, Iterator) else ()


def header_value(pairs: Iterable[tuple[bytes, bytes]], name: bytes) -> str:
    """The first value of a header by its name in lower case, else nothing."""
    for key, value in pairs:
        if key.lower() == name:
            return _text(value)
    return ""


def read_scope(exchange: Exchange) -> RequestFacts:
    """Read what a ``ScopeExchange`` has noted; of a header that repeats, the first value.

    Its mount stays empty, because ASGI doors know whole templates.
    """
    method, path, raw_path, query, scheme, peer, host, port = exchange.noted
    pairs = [(_text(name).lower(), _text(value)) for name, value in exchange.request_headers]
    get = dict(reversed(pairs)).get
    length = get("content-length", "")
    return RequestFacts(
        method=method,
        path=_path(path, raw_path),
        scheme=scheme,
        host=get("host") or (f"{host}:{port}" if port else host),
        query=query,
        peer=peer or None,
        forwarded=get("x-real-ip") or get("x-forwarded-for", "").partition(",")[0].strip() or None,
        referer=get("referer"),
        origin=get("origin"),
        user_agent=get("user-agent"),
        authorization=get("authorization"),
        api_key=get("x-api-key") or get("apikey"),
        content_type=get("content-type", ""),
        content_length=int(length) if length.isdecimal() and len(length) <= MAX_DIGITS else None,
        headers=[(name.title(), value) for name, value in pairs] if exchange.detailed else None,
    )


def _path(path: str, raw_path: str) -> bytes:
    # The raw path has every byte as the client sent it, unless something rewrote the path and left it as it was.
    raw = raw_path.partition("?")[0]
    return unquote_to_bytes(raw.encode("latin-1")) if unquote(raw) == path else path.encode("utf-8", "replace")


def _text(value: Any) -> str:
    return value.decode("latin-1") if isinstance(value, bytes) else str(value)
