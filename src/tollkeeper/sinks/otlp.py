"""Send events as spans to an OpenTelemetry collector, by OpenTelemetry's own exporter."""

from __future__ import annotations

import base64
import os
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import unquote, urlsplit

from tollkeeper.errors import ConfigurationError, SinkError
from tollkeeper.sinks.connection import Connection, checked_headers, refusal
from tollkeeper.sinks.driver import import_driver
from tollkeeper.sinks.halves import Refused, send_in_halves
from tollkeeper.sinks.otlp_session import Attempt
from tollkeeper.sinks.rejections import Rejections
from tollkeeper.sinks.spans import Spans
from tollkeeper.unhurried import Unhurried

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tollkeeper.events.event import UsageEvent

__all__ = ["OTLPSink"]

URL = "otlp+http://HOST:4318 or otlp+https://HOST (with a token: otlp+https://:TOKEN@HOST, basic auth: USER:PASSWORD@)"
TRACES = "/v1/traces"
SUCCESS = range(200, 300)
TOO_LARGE = 413
PART_EVENTS = 100  # of more, what protobuf copies and writes at once takes milliseconds in which no request is answered
MAX_SHOWN = 200


class OTLPSink:
    """Makes one server span of each event and posts them to ``{url}/v1/traces`` as protobuf, gzipped.

    The ids of a span come from the event's, so that one that is sent again is the same span; with the captured header
    ``traceparent`` it is part of the caller's trace. ``rejected`` counts the spans that the collector would not take.
    The environment variables of OpenTelemetry's exporter are heeded, save for the endpoint and the timeout.

    Raises ConfigurationError without the exporter, which ``tollkeeper[otlp]`` installs.
    """

    def __init__(self, url: str, *, headers: Mapping[str, str] | None = None, timeout: float = 10.0) -> None:
        self._library = import_driver("opentelemetry.exporter.otlp.proto.http.trace_exporter", "otlp")
        self._spans = Spans()
        answers = import_driver("opentelemetry.proto.collector.trace.v1.trace_service_pb2", "otlp")
        self._receipt = answers.ExportTraceServiceResponse
        endpoint = url.rstrip("/").removesuffix(TRACES) + TRACES
        self._shown = Connection(endpoint, timeout=timeout).shown
        self._options = {"endpoint": endpoint, "headers": checked_headers(headers or {}), "timeout": timeout}
        self._exporter: Any = None
        self._attempt = Attempt(self._shown)
        self._pid = 0
        self._rejections = Rejections(self._shown)

    @classmethod
    def from_url(cls, url: str) -> Self:
        """Make it from ``otlp+http://HOST:4318``; a password alone is a bearer token, with a user it is basic auth.

        Raises:
            ConfigurationError: the URL is of another form, or the exporter is not installed.
        """
        prefix, _, address = url.partition("+")
        try:
            parts = urlsplit(address)
            fits = prefix == "otlp" and parts.scheme in {"http", "https"} and parts.hostname and parts.port != 0
        except ValueError:
            fits = False
        if not fits:
            raise ConfigurationError(f"The URL of an OTLP sink must look like {URL}.")
        user, password = unquote(parts.username or ""), unquote(parts.password or "")
        login = base64.b64encode(f"{user}:{password}".encode()).decode()
        authorization = f"Basic {login}" if user else f"Bearer {password}"
        bare = parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()
        return cls(bare, headers={"Authorization": authorization} if user or password else None)

    @property
    def rejected(self) -> int:
        """Events that the collector refused one by one, since this sink was made."""
        return self._rejections.count

    def send(self, events: Sequence[UsageEvent]) -> None:
        """Export a batch in small parts, in halves when one is too large.

        Raises:
            SinkError: network, 429 and 5xx are to be retried, after ``Retry-After``; any other refusal is final.
        """
        parts = [events[start : start + PART_EVENTS] for start in range(0, len(events), PART_EVENTS)]
        send_in_halves(parts, self._export, self._rejections)

    def close(self) -> None:
        """Close the connections; a later ``send`` opens them again."""
        exporter, self._exporter = self._exporter, None
        if exporter is not None:
            exporter.shutdown()

    def _export(self, batch: Sequence[UsageEvent]) -> Refused | None:
        exporter = self._opened()
        self._attempt.reset()
        with suppress(Exception):  # of the session or of an odd event: some exporters let it pass, others log it
            exporter.export(Unhurried(self._spans.make(Unhurried(batch))))
        if self._attempt.failure is not None:
            raise self._attempt.failure
        answer = self._attempt.answer
        if answer is None:
            return Refused("it cannot be written as a span")
        if answer.status == TOO_LARGE:
            return Refused("a single event is too large for the collector")
        if answer.status not in SUCCESS:
            raise refusal(self._shown, answer)
        return self._check(answer.body)

    def _check(self, body: bytes) -> Refused | None:
        try:
            told = self._receipt.FromString(body).partial_success
        except Exception as error:  # of protobuf, whose kind depends on how it was built
            raise SinkError(f"{self._shown} gives no answer of OTLP: is it a collector?") from error
        return Refused(told.error_message[:MAX_SHOWN], told.rejected_spans) if told.rejected_spans else None

    def _opened(self) -> Any:
        if self._pid != os.getpid():  # after a fork the parent goes on with its connections; ours are new ones
            self._exporter, self._pid = None, os.getpid()
        if self._exporter is None:
            self._attempt = Attempt(self._shown)
            self._spans = Spans()  # which tell of the process that makes them
            compression = self._library.Compression.Gzip
            self._exporter = self._library.OTLPSpanExporter(
                **self._options, session=self._attempt.session, compression=compression
            )
        return self._exporter
