from __future__ import annotations

import json
from typing import TYPE_CHECKING, ClassVar

from sinks.cases import base
from support.servers.http_receiver import HTTPReceiver
from tollkeeper.sinks.http import HTTPSink

if TYPE_CHECKING:
    from pathlib import Path

    from support.servers.process import ServerProcess
    from tollkeeper.sinks.base import Sink


class Case(base.Case):
    """An endpoint that knows an event by its source and id, as docs/sinks.md advises."""

    has_server = True
    has_password = True
    poison: ClassVar = {"path": "half of a pair: \ud83d"}

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self._receiver = HTTPReceiver()

    def make(self, *, timeout: float = 10.0) -> Sink:
        headers = {"Authorization": f"Bearer {self._receiver.token}"}
        return HTTPSink(self._receiver.url, headers=headers, timeout=timeout)

    def documents(self) -> base.Documents:
        found: base.Documents = {}
        for body in self._receiver.bodies():
            for document in json.loads(body):
                found.setdefault((document.get("source", ""), document["id"]), document)
        return found

    @property
    def server(self) -> ServerProcess:
        return self._receiver.process

    def intruder(self, password: str) -> Sink:
        return HTTPSink(self._receiver.url, headers={"Authorization": f"Bearer {password}"})

    def close(self) -> None:
        self._receiver.process.close()
