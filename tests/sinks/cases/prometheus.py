from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, ClassVar

from prometheus_client import CollectorRegistry

from sinks.cases import base
from tollkeeper.sinks.prometheus import PrometheusSink

if TYPE_CHECKING:
    from pathlib import Path

    from tollkeeper.sinks.base import Sink


class Case(base.Case):
    keeps_documents = False
    outlives_process = False
    driver = ("prometheus_client", "prometheus")
    poison: ClassVar = {"units": Decimal(-1)}

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self._registry = CollectorRegistry()
        self._sink: PrometheusSink | None = None

    def make(self, *, timeout: float = 10.0) -> Sink:  # noqa: ARG002 - it waits for nobody
        self._sink = self._sink or PrometheusSink(self._registry)
        return self._sink

    def documents(self) -> base.Documents:
        raise NotImplementedError

    def count(self) -> int:
        samples = [sample for metric in self._registry.collect() for sample in metric.samples]
        return int(sum(sample.value for sample in samples if sample.name == "http_server_requests_total"))
