from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import urlsplit

from sinks.cases import base
from support.requirements import require
from support.servers.mongodb import mongodb
from tollkeeper.sinks.mongodb import MongoDBSink

if TYPE_CHECKING:
    from pathlib import Path

    from support.servers.process import ServerProcess
    from tollkeeper.events.event import UsageEvent
    from tollkeeper.sinks.base import Sink

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Case(base.Case):
    has_server = True
    has_password = True
    driver = ("pymongo", "mongodb")
    poison: ClassVar = {"units": Decimal("1." + "3" * 40)}

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self._server = mongodb()
        self.url = self._server.fresh_database()

    def make(self, *, timeout: float = 10.0) -> Sink:
        return MongoDBSink(self.url, timeout=timeout)

    def documents(self) -> base.Documents:
        with self._server.connect(self.url) as client:
            found = list(client.get_default_database()["usage_events"].find())
        return {(document["_id"]["source"], document["_id"]["id"]): _plain(document) for document in found}

    def expected(self, sent: UsageEvent) -> Any:
        return sent.document() | {"time": sent.time, "units": sent.units}

    @property
    def server(self) -> ServerProcess:
        require("a MongoDB that tests may stop", self._server.process)
        assert self._server.process
        return self._server.process

    def intruder(self, password: str) -> Sink:
        parts = urlsplit(self.url)
        place = f"{parts.username}:{password}@{parts.hostname}:{parts.port}"
        return MongoDBSink(parts._replace(netloc=place).geturl())


def _plain(document: dict[str, Any]) -> dict[str, Any]:
    """The document without its ``_id``, its time as exact as it was."""
    exact = EPOCH + timedelta(microseconds=document["time_us"])
    assert abs(document["time"] - exact) < timedelta(milliseconds=1)
    rest = {name: value for name, value in document.items() if name not in {"_id", "time_us"}}
    return rest | {"time": exact, "units": document["units"].to_decimal()}
