from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import urlsplit

from sinks.cases import base
from support.requirements import require
from support.servers.influxdb import ORG, TOKEN, influxdb, parse_bucket
from tollkeeper.sinks.influxdb import InfluxDBSink

if TYPE_CHECKING:
    from pathlib import Path

    from support.servers.process import ServerProcess
    from tollkeeper.sinks.base import Sink


class Case(base.Case):
    keeps_documents = False
    has_server = True
    has_password = True
    driver = ("influxdb_client", "influxdb")
    poison: ClassVar = {"units": Decimal("NaN")}

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self._server = influxdb()
        self.url = self._server.fresh_bucket()

    def make(self, *, timeout: float = 10.0) -> Sink:
        return self._sink(timeout=timeout)

    def documents(self) -> base.Documents:
        raise NotImplementedError

    def count(self) -> int:
        return len(self._server.points(self.url))

    @property
    def server(self) -> ServerProcess:
        require("an InfluxDB that tests may stop", self._server.process)
        assert self._server.process
        return self._server.process

    def intruder(self, password: str) -> Sink:
        return self._sink(token=password)

    def _sink(self, **options: Any) -> Sink:
        parts = urlsplit(self.url.removeprefix("influxdb+"))
        address = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"
        given = {"token": TOKEN, "org": ORG, "bucket": parse_bucket(self.url)}
        return InfluxDBSink(address, **(given | options))
