from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, ClassVar

import httpx

from sinks.cases import base
from support.served import run_cli
from support.servers.process import ServerProcess, free_port, private_folder
from tollkeeper.events.routes import template_path
from tollkeeper.sinks.collector import CollectorSink

if TYPE_CHECKING:
    from pathlib import Path

    from tollkeeper.events.event import UsageEvent
    from tollkeeper.sinks.base import Sink


class Case(base.Case):
    has_server = True
    has_password = True
    poison: ClassVar = {"path": "x" * 9000}

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        place, port = private_folder(), free_port()
        store = f"sqlite:///{place}/store.db"
        self.url = f"http://127.0.0.1:{port}"
        self._process = ServerProcess(
            [sys.executable, "-m", "tollkeeper.cli", "serve", "--store", store, "--port", str(port)],
            lambda: httpx.get(f"{self.url}/readyz", timeout=5).raise_for_status(),
            place,
        )
        self._process.start()
        self._token = run_cli("token", "create", "--scope", "admin", "--store", store).stdout.strip()

    def make(self, *, timeout: float = 10.0) -> Sink:
        return CollectorSink(self.url, token=self._token, timeout=timeout)

    def documents(self) -> base.Documents:
        answer = httpx.get(f"{self.url}/v1/events?limit=1000", headers={"Authorization": f"Bearer {self._token}"})
        found = answer.raise_for_status().json()["events"]
        documents = {(document["source"], document["id"]): document for document in found}
        assert len(documents) == len(found)
        return documents

    def expected(self, sent: UsageEvent) -> Any:
        # The service tells a route also of an event that came without one.
        return {"route": template_path(sent.path)} | sent.document()

    @property
    def server(self) -> ServerProcess:
        return self._process

    def intruder(self, password: str) -> Sink:
        return CollectorSink(self.url, token=password)

    def close(self) -> None:
        self._process.close()
