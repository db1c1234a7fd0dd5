"""An event as a log of ReadMe Metrics, as far as an event tells what such a log holds."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import UNSET, Raw, UnsetType

from tollkeeper.sinks.readme_log import LogRequest, LogResponse, make_log, mask, status_text

if TYPE_CHECKING:
    from tollkeeper.events.event import Consumer, Request, UsageEvent

__all__ = ["log_of_event"]

FORM = "application/x-www-form-urlencoded"
NOBODY = "anonymous"


def log_of_event(event: UsageEvent, *, development: bool) -> dict[str, Any]:
    """Tell an event as a log, with the same ``_id`` whenever it is told; its secrets are hidden already.

    Who called without being known is ``anonymous``, for a log must name somebody.
    """
    url = event.url or event.path
    args = _pairs(event.request.args)
    request = LogRequest(
        method=event.method,
        url=url,
        headers=_pairs(event.request.headers),
        query=[pair for pair in args if pair[1]],
        post=_post(event.request),
    )
    response = LogResponse(
        status=event.status_code,
        reason=status_text(event.status_code),
        headers=_pairs(event.response.headers),
        text=_text(event.response.body),
        size=event.response.content_length or 0,
        content_type=event.response.mimetype,
    )
    return make_log(
        _identifier(event),
        _group(event.consumer),
        event.client.remote_address,
        development=development,
        started=event.time.timestamp(),
        elapsed=event.request.elapsed_time or 0.0,
        request=request,
        response=response,
    )


def _identifier(event: UsageEvent) -> str:
    try:
        return str(uuid.UUID(event.id))
    except ValueError:  # an id of the app's own making
        return str(uuid.uuid5(uuid.NAMESPACE_URL, f"{event.source}\n{event.id}"))


def _group(consumer: Consumer | None) -> dict[str, Any]:
    if consumer is None:
        return {"id": mask(NOBODY), "label": NOBODY}
    told = {"label": consumer.label, "email": consumer.email}
    return {"id": mask(consumer.key), **{name: text for name, text in told.items() if text is not None}}


def _post(request: Request) -> dict[str, Any] | None:
    if not request.content_length and request.body is UNSET:
        return None
    kind = request.mimetype or "text/plain"
    if kind == FORM:
        return {"mimeType": kind, "params": [{"name": name, "value": text} for name, text in _pairs(request.body)]}
    return {"mimeType": kind, "text": "" if kind.startswith("multipart/") else _text(request.body)}


def _text(body: Raw | UnsetType) -> str:
    if body is UNSET:
        return ""
    value = msgspec.json.decode(body)
    return value if isinstance(value, str) else bytes(body).decode()


def _pairs(fields: Raw | UnsetType) -> list[tuple[str, str]]:
    """The pairs of a JSON object in which what is repeated is an array."""
    if fields is UNSET:
        return []
    value = msgspec.json.decode(fields)
    if not isinstance(value, dict):
        return []
    return [
        (name, _shown(held)) for name, each in value.items() for held in (each if isinstance(each, list) else [each])
    ]


def _shown(value: Any) -> str:
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()
