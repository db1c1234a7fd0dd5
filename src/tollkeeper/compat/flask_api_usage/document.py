"""An event in the words of flask-api-usage: one document, with exactly the keys that it had."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

from tollkeeper.compat.flask_api_usage.read_on import is_json
from tollkeeper.events.redaction import REDACTED

if TYPE_CHECKING:
    from tollkeeper.events.event import UsageEvent

__all__ = ["document_id", "usage_document"]

UNKNOWN_BROWSER = "None None"
QUOTES = 2


def document_id(event: UsageEvent) -> bytes:
    """Twelve bytes for an ObjectId: they sort by time, and are the same whenever the event is sent."""
    seconds, micros = divmod(event.time_us, 10**6)
    digest = hashlib.sha256(f"{event.source}\0{event.id}".encode()).digest()
    return (seconds % 2**32).to_bytes(4, "big") + micros.to_bytes(3, "big") + digest[:5]


def usage_document(event: UsageEvent) -> dict[str, Any]:
    """All of the document but its ``_id``."""
    whole = event.document()
    request, response = whole.get("request", {}), whole.get("response", {})
    return {
        "date": event.time,
        "exception": event.exception or "None",
        "method": event.method,
        "path": event.path,
        "url": event.url,
        "status_code": event.status_code,
        "response": {
            "content_length": _announced(response),
            "mimetype": event.response.mimetype,
            "headers": response.get("headers", {}),
            "body": _json(response),
        },
        "client": _client(event, request),
        "request": {
            "elapsed_time": event.request.elapsed_time,
            "content_length": _announced(request),
            "mimetype": event.request.mimetype,
            "body": _json(request),
            "headers": request.get("headers", {}),
            "args": {name: _first(value) for name, value in request.get("args", {}).items()},
        },
    }


def _client(event: UsageEvent, request: dict[str, Any]) -> dict[str, Any]:
    client = event.client
    authorization = _header(request, "authorization")
    return {
        "referer": client.referer,
        # Of one that is hidden, the event still tells the scheme.
        "authorization": client.authorization if authorization in {None, REDACTED} else authorization,
        "origin": client.origin,
        "remote_address": _header(request, "x-real-ip") or client.remote_address,
        "user_agent": client.user_agent,
        "platform": client.platform,
        "browser": client.browser or UNKNOWN_BROWSER,
    }


def _header(part: dict[str, Any], name: str) -> str | None:
    return next((_first(value) for key, value in part.get("headers", {}).items() if key.lower() == name), None)


def _first(value: str | list[str]) -> str:
    return value[0] if isinstance(value, list) else value


def _announced(part: dict[str, Any]) -> int | None:
    """The length that the header tells; None without it."""
    length = _header(part, "content-length") or ""
    return int(length) if length.isdecimal() else None


def _json(part: dict[str, Any]) -> Any:
    """The body if it was JSON, all of it; None for forms, texts, and what only says that it is JSON."""
    mimetype, body = part.get("mimetype", ""), part.get("body")
    if part.get("body_truncated") or not is_json(mimetype):
        return None
    # What could not be parsed is kept as the text that came; a string that was parsed has lost its quotes.
    if isinstance(body, str) and len(body.encode()) + QUOTES > part.get("content_length", 0):
        return None
    return body
