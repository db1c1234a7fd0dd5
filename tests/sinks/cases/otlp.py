from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from sinks.cases import base
from support.servers.http_receiver import HTTPReceiver
from tollkeeper.sinks.otlp import OTLPSink

if TYPE_CHECKING:
    from pathlib import Path

    from support.servers.process import ServerProcess
    from tollkeeper.sinks.base import Sink


class Case(base.Case):
    """A backend that knows a span by its ids, as those for traces do."""

    keeps_documents = False
    has_server = True
    has_password = True
    driver = ("opentelemetry.exporter.otlp.proto.http.trace_exporter", "otlp")
    poison: ClassVar = {"route": "half of a pair: \ud83d"}

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self._receiver = HTTPReceiver()

    def make(self, *, timeout: float = 10.0) -> Sink:
        headers = {"Authorization": f"Bearer {self._receiver.token}"}
        return OTLPSink(self._receiver.url, headers=headers, timeout=timeout)

    def documents(self) -> base.Documents:
        raise NotImplementedError

    def count(self) -> int:
        requests = [ExportTraceServiceRequest.FromString(body) for body in self._receiver.bodies()]
        scopes = [scope for request in requests for part in request.resource_spans for scope in part.scope_spans]
        return len({(span.trace_id, span.span_id) for scope in scopes for span in scope.spans})

    @property
    def server(self) -> ServerProcess:
        return self._receiver.process

    def intruder(self, password: str) -> Sink:
        return OTLPSink(self._receiver.url, headers={"Authorization": f"Bearer {password}"})

    def close(self) -> None:
        self._receiver.process.close()
