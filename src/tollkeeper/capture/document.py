"""From what was noted down on the request's thread to the event that leaves the process, secrets removed."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import msgspec
from msgspec import UNSET, Raw, UnsetType
from msgspec.structs import replace

from tollkeeper.capture.identify import default_consumer
from tollkeeper.capture.redact import authorization_scheme
from tollkeeper.capture.useragent import platform_and_browser
from tollkeeper.events.event import Client, Request, Response, UsageEvent
from tollkeeper.events.ids import new_id

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tollkeeper.capture.exchange import Exchange
    from tollkeeper.capture.redact import Redactor

__all__ = ["UNMATCHED", "build_event"]

UNMATCHED = "(unmatched)"

# What the wire contract takes at most; an event that is cut is worth more than one that is refused.
SHORT, ROUTE, LONG, METHOD = 255, 1024, 8192, 32
MAX_HEADERS_CHARS = 32 * 2**10
MAX_ARGS = 256
MAX_EVENT_BYTES = 256 * 2**10

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder().decode


def build_event(exchange: Exchange, redactor: Redactor) -> UsageEvent:
    """Make the event of an exchange: parsed, redacted, cut to the wire contract, with an id of its own.

    Raises whatever shows that it cannot be written as JSON, so that one odd event never spoils a batch.
    """
    event = _event(exchange, redactor)
    if len(_encode(event)) > MAX_EVENT_BYTES:
        event = replace(event, request=replace(event.request, body=UNSET), response=replace(event.response, body=UNSET))
    return event


def _event(exchange: Exchange, redactor: Redactor) -> UsageEvent:
    query = _printable(exchange.query)[:LONG]
    return UsageEvent(
        id=new_id(),
        source=_cut(exchange.source, SHORT) or "",
        time=datetime.fromtimestamp(exchange.time, UTC),
        method=_cut(exchange.method, METHOD) or "UNKNOWN",
        path=exchange.path.decode("utf-8", "replace")[:LONG],
        route=_cut(exchange.route or UNMATCHED, ROUTE),
        url=_url(exchange, redactor),
        status_code=exchange.status,
        exception=_cut(exchange.exception, LONG),
        consumer=exchange.consumer
        if exchange.identified
        else default_consumer(exchange.api_key, exchange.authorization),
        api=_cut(exchange.api, SHORT),
        api_version=_cut(exchange.api_version, SHORT),
        client=_client(exchange, redactor),
        request=Request(
            elapsed_time=exchange.elapsed,
            content_length=exchange.content_length,
            mimetype=_mimetype(exchange.content_type),
            headers=_headers(exchange.headers, redactor),
            args=Raw(_encode(_args(query, redactor))) if query else UNSET,
            body=_body(exchange.body, redactor),
        ),
        response=Response(
            content_length=exchange.response_size,
            mimetype=_mimetype(exchange.response_type),
            headers=_headers(exchange.response_headers, redactor),
            body=_body(exchange.response_body, redactor),
        ),
    )


def _client(exchange: Exchange, redactor: Redactor) -> Client:
    agent = _cut(exchange.user_agent, LONG)
    platform, browser = platform_and_browser(agent or "")
    return Client(
        referer=_cut(redactor.url(exchange.referer), LONG) if exchange.referer else None,
        authorization=authorization_scheme(exchange.authorization) if exchange.authorization else None,
        origin=_cut(redactor.url(exchange.origin), LONG) if exchange.origin else None,
        remote_address=_cut(exchange.peer, SHORT),
        user_agent=agent,
        platform=_cut(platform, SHORT),
        browser=_cut(browser, SHORT),
    )


def _url(exchange: Exchange, redactor: Redactor) -> str | None:
    url = f"{exchange.scheme}://{exchange.host}{quote(exchange.path, safe='/:@!$&()*+,;=~')}"
    # Hidden before it is cut, so that no cut can part a value from the name that makes it a secret.
    return _cut(redactor.url(f"{url}?{exchange.query}" if exchange.query else url), LONG)


def _args(query: str, redactor: Redactor) -> dict[str, str]:
    args = redactor.args(query)
    return args if len(args) <= MAX_ARGS else dict(list(args.items())[:MAX_ARGS])


def _headers(headers: Iterable[tuple[str, str]] | None, redactor: Redactor) -> Raw | UnsetType:
    if headers is None:
        return UNSET
    room = MAX_HEADERS_CHARS
    kept = []
    for name, value in headers:
        room -= len(name) + len(value)
        if room >= 0:
            kept.append((_printable(name), _printable(value)))
    return Raw(_encode(redactor.headers(kept)))


def _body(body: bytes | None, redactor: Redactor) -> Raw | UnsetType:
    if not body:
        return UNSET
    try:
        return Raw(_encode(redactor.document(_decode(body))))
    except (ValueError, msgspec.MsgspecError, RecursionError, OverflowError):
        return UNSET  # not JSON after all, or too deep to be written again


def _mimetype(content_type: str) -> str:
    return _printable(content_type).partition(";")[0].strip().lower()[:SHORT]


def _cut(text: Any, limit: int) -> str | None:
    return None if text is None else _printable(str(text))[:limit]


def _printable(text: str) -> str:
    # A lone surrogate, which a server or a test may put into an environ, cannot be written as UTF-8.
    return text if text.isascii() else text.encode("utf-8", "replace").decode()
