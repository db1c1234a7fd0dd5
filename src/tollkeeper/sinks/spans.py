"""Events as server spans of OpenTelemetry, by its semantic conventions for HTTP."""

from __future__ import annotations

import hashlib
import re
from functools import cached_property
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import msgspec
from msgspec import UnsetType

from tollkeeper.sinks.dimensions import METHODS, UNMATCHED
from tollkeeper.sinks.driver import import_driver

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tollkeeper.events.event import UsageEvent

__all__ = ["Spans"]

SCHEMA = "https://opentelemetry.io/schemas/1.26.0"
OTHER_METHOD = "_OTHER"
NANOSECONDS = 1000
SERVER_ERROR = 500
TRACEPARENT = re.compile(r"(?!ff)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})(?:-.*)?")


class Spans:
    """Makes the spans of events, finished, by the SDK and without any provider of its.

    Raises ConfigurationError without the SDK.
    """

    def __init__(self) -> None:
        self._api = import_driver("opentelemetry.trace", "otlp")
        self._sdk = import_driver("opentelemetry.sdk.trace", "otlp")
        self._resource = import_driver("opentelemetry.sdk.resources", "otlp").Resource
        scope = import_driver("opentelemetry.sdk.util.instrumentation", "otlp").InstrumentationScope
        self._scope = scope("tollkeeper", schema_url=SCHEMA)

    @cached_property
    def _base(self) -> Any:
        return self._resource.create()  # starts threads to find out where it runs

    def make(self, events: Sequence[UsageEvent]) -> list[Any]:
        """Make the span of each event; the same event always gives the same ids, so that it is the same span again."""
        resources = {"": self._base}
        spans = []
        for event in events:
            if event.source not in resources:
                resources[event.source] = self._base.merge(self._resource({"service.name": event.source}))
            spans.append(self._span(event, resources[event.source]))
        return spans

    def _span(self, event: UsageEvent, resource: Any) -> Any:
        api = self._api
        digest = hashlib.sha256(f"{len(event.source)}:{event.source}{event.id}".encode(errors="replace")).digest()
        parent = self._parent(event)
        context = api.SpanContext(
            trace_id=parent.trace_id if parent else int.from_bytes(digest[:16], "big"),
            span_id=int.from_bytes(digest[16:24], "big"),
            is_remote=False,
            trace_flags=api.TraceFlags(api.TraceFlags.SAMPLED),
            trace_state=parent.trace_state if parent else None,
        )
        start = event.time_us * NANOSECONDS
        end = start + round((event.request.elapsed_time or 0) * 1e9)
        method = event.method if event.method in METHODS else "HTTP"
        route = event.route if event.route != UNMATCHED else None
        failed = event.status_code >= SERVER_ERROR or event.error is not None
        return self._sdk.ReadableSpan(
            name=f"{method} {route}" if route else method,
            context=context,
            parent=parent,
            resource=resource,
            attributes=_attributes(event, route),
            events=[self._sdk.Event("exception", told, end) for told in _exceptions(event)],
            kind=api.SpanKind.SERVER,
            status=api.Status(api.StatusCode.ERROR if failed else api.StatusCode.UNSET),
            start_time=start,
            end_time=end,
            instrumentation_scope=self._scope,
        )

    def _parent(self, event: UsageEvent) -> Any:
        """The caller's span, by the W3C headers of the request; None when they are not there, or are not whole."""
        headers = event.request.headers
        if isinstance(headers, UnsetType) or b"traceparent" not in bytes(headers).lower():
            return None
        decoded: Any = msgspec.json.decode(headers)
        if not isinstance(decoded, dict):
            return None
        named = {name.lower(): value for name, value in decoded.items()}
        traceparent = TRACEPARENT.fullmatch(str(named.get("traceparent")))
        if traceparent is None:
            return None
        state = named.get("tracestate", [])
        return self._api.SpanContext(
            trace_id=int(traceparent[1], 16),
            span_id=int(traceparent[2], 16),
            is_remote=True,
            trace_flags=self._api.TraceFlags(int(traceparent[3], 16)),
            trace_state=self._api.TraceState.from_header(
                list(map(str, state)) if isinstance(state, list) else [str(state)]
            ),
        )


def _attributes(event: UsageEvent, route: str | None) -> dict[str, str | int | float]:
    known = event.method in METHODS
    error = event.error.type if event.error else str(event.status_code) if event.status_code >= SERVER_ERROR else None
    told: dict[str, str | int | float | None] = {
        "http.request.method": event.method if known else OTHER_METHOD,
        "http.request.method_original": None if known else event.method,
        "http.route": route,
        "http.response.status_code": event.status_code,
        "url.path": event.path,
        **_address(event.url),
        "user_agent.original": event.client.user_agent,
        "client.address": event.client.remote_address,
        "http.request.body.size": event.request.content_length,
        "http.response.body.size": event.response.content_length,
        "error.type": error,
        "user.id": event.consumer.key if event.consumer else None,
        "tollkeeper.event.id": event.id,
        "tollkeeper.units": float(event.units),
        "tollkeeper.api": event.api,
        "tollkeeper.api.version": event.api_version,
    }
    return {name: value for name, value in told.items() if value is not None}


def _address(url: str | None) -> dict[str, str | int | None]:
    try:
        parts = urlsplit(url or "")
        port = parts.port
    except ValueError:  # whatever a client wrote as the host
        return {}
    return {
        "url.scheme": parts.scheme or None,
        "url.query": parts.query or None,
        "server.address": parts.hostname,
        "server.port": port,
    }


def _exceptions(event: UsageEvent) -> list[dict[str, str]]:
    error = event.error
    if error is None:
        return []
    told = {"exception.type": error.type, "exception.message": error.message, "exception.stacktrace": error.traceback}
    return [{name: value for name, value in told.items() if value}]
