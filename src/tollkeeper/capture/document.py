"""From what was noted down on the request's thread to the event that leaves the process, secrets removed."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import lru_cache
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import msgspec
from msgspec import UNSET, Raw, Struct, UnsetType
from msgspec.structs import replace

from tollkeeper.capture.addresses import hide_addresses, shown_address
from tollkeeper.capture.content import read_content
from tollkeeper.capture.failure import tell_failure
from tollkeeper.capture.identify import default_consumer
from tollkeeper.capture.options import CaptureOptions
from tollkeeper.capture.redact import Redactor, authorization_scheme
from tollkeeper.capture.useragent import platform_and_browser
from tollkeeper.events.event import Client, Request, Response, UsageEvent

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tollkeeper.capture.exchange import Exchange, RequestFacts

__all__ = ["UNMATCHED", "Rules", "build_event"]

UNMATCHED = "(unmatched)"

# What the wire contract takes at most; an event that is cut is worth more than one that is refused.
SHORT, ROUTE, LONG, METHOD = 255, 1024, 8192, 32
MAX_HEADERS_CHARS = 32 * 2**10
MAX_ARGS = 256
MAX_EVENT_BYTES = 256 * 2**10

_encode = msgspec.json.Encoder().encode


class Rules(Struct, frozen=True):
    """What may be shown, and how much of it."""

    options: CaptureOptions
    redactor: Redactor


def build_event(exchange: Exchange, rules: Rules) -> UsageEvent | None:
    """Make the event of an exchange: parsed, redacted, cut to the wire contract; None when it is to be left out.

    Raises whatever shows that it cannot be written as JSON, so that one odd event never spoils a batch.
    """
    facts = exchange.read(exchange)
    status = exchange.status if isinstance(exchange.status, int) else int(exchange.status[:3])
    route = _cut(f"{facts.mount}{exchange.route}" if exchange.route else UNMATCHED, ROUTE) or UNMATCHED
    if rules.options.excludes(facts.method, route, status):
        return None
    event = _event(exchange, facts, route, status, rules)
    # What is not of the app's own shape is within its limits already.
    if (exchange.detailed or exchange.variables) and len(_encode(event)) > MAX_EVENT_BYTES:
        event = replace(
            event,
            variables=UNSET,
            request=replace(event.request, body=UNSET, body_truncated=True),
            response=replace(event.response, body=UNSET, body_truncated=True),
        )
    return event


def _event(exchange: Exchange, facts: RequestFacts, route: str, status: int, rules: Rules) -> UsageEvent:
    options, redactor = rules.options, rules.redactor
    consumer = exchange.consumer
    if not exchange.identified:
        consumer = default_consumer(facts.api_key, facts.authorization)
    failure = exchange.failure
    told: dict[str, Any] = {}
    if exchange.units is not None:
        told["units"] = exchange.units
    if exchange.gated is not None:
        told["gated"] = True
    if exchange.variables:
        told["variables"] = _variables(exchange.variables, redactor)
    if failure is not None:
        told["exception"] = _cut(redactor.text(failure.shown, "exception"), LONG)
        told["error"] = tell_failure(failure, lambda text, at: redactor.text(_printable(text), at))
    return UsageEvent(
        id=exchange.id,
        source=_cut(exchange.source, SHORT) or "",
        time=datetime.fromtimestamp(exchange.time, UTC),
        method=_cut(facts.method, METHOD) or "UNKNOWN",
        path=redactor.url(_printable(facts.path.decode("utf-8", "replace")), "path")[:LONG],
        route=route,
        url=_url(facts, redactor),
        status_code=status,
        consumer=consumer,
        api=_cut(exchange.api or options.api, SHORT),
        api_version=_cut(exchange.api_version or options.api_version, SHORT),
        client=_client(facts, rules),
        request=_request(exchange, facts, rules),
        response=_response(exchange, rules),
        **told,
    )


def _request(exchange: Exchange, facts: RequestFacts, rules: Rules) -> Request:
    options, redactor = rules.options, rules.redactor
    query = _printable(facts.query)[:LONG]
    size = exchange.request_size if facts.content_length is None else facts.content_length
    encoding = ""
    if exchange.request_body and facts.headers:
        encoding = next((value for name, value in facts.headers if name.lower() == "content-encoding"), "")
    kind = facts.content_type
    body, truncated = _body(exchange.request_body, size, (kind, encoding), rules, "request.body")
    return Request(
        elapsed_time=exchange.elapsed,
        content_length=size,
        mimetype=_mimetype(kind),
        headers=_headers(facts.headers and hide_addresses(facts.headers, options.ip), redactor, "request.headers"),
        args=Raw(_encode(_args(query, redactor))) if query else UNSET,
        body=body,
        body_truncated=truncated,
    )


def _response(exchange: Exchange, rules: Rules) -> Response:
    pairs = [
        (name, value) if type(name) is str is type(value) else (_as_text(name), _as_text(value))
        for name, value in exchange.response_headers
    ]
    told = {name.lower(): value for name, value in pairs}
    kind, announced, size = told.get("content-type", ""), told.get("content-length", ""), exchange.response_size
    if size is None and announced.isdecimal():
        size = int(announced[:12])
    encoding = told.get("content-encoding", "")
    body, truncated = _body(exchange.response_body, size, (kind, encoding), rules, "response.body")
    return Response(
        first_byte_time=None if exchange.first_byte is None else round(exchange.first_byte, 6),
        content_length=size,
        mimetype=_mimetype(kind),
        headers=_headers(pairs if exchange.detailed else None, rules.redactor, "response.headers"),
        body=body,
        body_truncated=truncated,
    )


def _client(facts: RequestFacts, rules: Rules) -> Client:
    options, redactor = rules.options, rules.redactor
    agent = None if facts.user_agent is None else _cut(redactor.text(facts.user_agent, "client.user_agent"), LONG)
    platform, browser = platform_and_browser(agent or "")
    peer = facts.forwarded or facts.peer if options.trust_proxy else facts.peer
    return Client(
        referer=_cut(redactor.url(facts.referer, "client.referer"), LONG) if facts.referer else None,
        authorization=authorization_scheme(facts.authorization) if facts.authorization else None,
        origin=_cut(redactor.url(facts.origin, "client.origin"), LONG) if facts.origin else None,
        remote_address=_cut(shown_address(peer, options.ip), SHORT),
        user_agent=agent,
        platform=_cut(platform, SHORT),
        browser=_cut(browser, SHORT),
    )


def _url(facts: RequestFacts, redactor: Redactor) -> str | None:
    url = f"{facts.scheme}://{facts.host}{quote(facts.path, safe='/:@!$&()*+,;=~')}"
    # Hidden before it is cut, so that no cut can part a value from the name that makes it a secret.
    return _cut(redactor.url(f"{url}?{facts.query}" if facts.query else url), LONG)


def _args(query: str, redactor: Redactor) -> dict[str, Any]:
    args = redactor.args(query, "request.args")
    return args if len(args) <= MAX_ARGS else dict(list(args.items())[:MAX_ARGS])


def _variables(variables: dict[str, Any], redactor: Redactor) -> Raw:
    told = {
        _printable(name): _printable(value) if isinstance(value, str) else value for name, value in variables.items()
    }
    return Raw(_encode(redactor.document(msgspec.json.decode(_encode(told)), "variables")))


def _headers(headers: Iterable[tuple[str, str]] | None, redactor: Redactor, at: str) -> Raw | UnsetType:
    if headers is None:
        return UNSET
    room = MAX_HEADERS_CHARS
    kept = []
    for name, value in headers:
        room -= len(name) + len(value)
        if room >= 0:
            kept.append((_printable(name), _printable(value)))
    return Raw(_encode(redactor.headers(kept, at)))


def _body(
    body: bytes | list[dict[str, object]] | None, size: int | None, how: tuple[str, str], rules: Rules, at: str
) -> tuple[Raw | UnsetType, bool]:
    """What is shown of a body, and whether that is not all of it; ``how`` are its Content-Type and Content-Encoding."""
    if not body:
        return UNSET, False
    if isinstance(body, list):
        return Raw(_encode(rules.redactor.document(body, at))), False
    cut = size is not None and len(body) < size
    content = read_content(body, *how, truncated=cut, limit=rules.options.max_body_bytes)
    if content is None:
        return UNSET, True
    return Raw(_encode(content.hidden_by(rules.redactor, at))), content.truncated


@lru_cache(maxsize=256)
def _mimetype(content_type: str) -> str:
    return _printable(content_type).partition(";")[0].strip().lower()[:SHORT]


def _as_text(text: Any) -> str:
    return text.decode("latin-1") if isinstance(text, bytes) else str(text)


def _cut(text: Any, limit: int) -> str | None:
    if type(text) is str and len(text) <= limit and text.isascii():
        return text
    return None if text is None else _printable(str(text))[:limit]


def _printable(text: str) -> str:
    # A lone surrogate, which a server or a test may put into an environ, cannot be written as UTF-8.
    return text if text.isascii() else text.encode("utf-8", "replace").decode()
