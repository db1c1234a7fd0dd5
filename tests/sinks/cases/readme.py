from __future__ import annotations

import json
from typing import TYPE_CHECKING, ClassVar

from sinks.cases import base
from support.servers.http_receiver import HTTPReceiver
from tollkeeper.sinks.readme import ReadMeSink

if TYPE_CHECKING:
    from pathlib import Path

    from support.servers.process import ServerProcess
    from tollkeeper.sinks.base import Sink


class Case(base.Case):
    """A ReadMe that knows a log by its id; what it lets in is a token, where the real one wants Basic auth."""

    keeps_documents = False
    has_server = True
    has_password = True
    poison: ClassVar = {"path": "half of a pair: \ud83d"}

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self._receiver = HTTPReceiver()

    def make(self, *, timeout: float = 10.0) -> Sink:
        sink = ReadMeSink("key", base_url=self._receiver.url, timeout=timeout)
        sink._headers["Authorization"] = f"Bearer {self._receiver.token}"
        return sink

    def documents(self) -> base.Documents:
        raise NotImplementedError

    def count(self) -> int:
        return len({log["_id"] for body in self._receiver.bodies() for log in json.loads(body)})

    @property
    def server(self) -> ServerProcess:
        return self._receiver.process

    def intruder(self, password: str) -> Sink:
        return ReadMeSink(password, base_url=self._receiver.url)

    def close(self) -> None:
        self._receiver.process.close()
