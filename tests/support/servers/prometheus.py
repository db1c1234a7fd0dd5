"""Prometheus for the tests: one that scrapes what it is told to, and answers PromQL."""

from __future__ import annotations

import http.client
import json
import shutil
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from support.requirements import require
from support.servers.process import ServerProcess, free_port, private_folder

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Prometheus", "prometheus"]

CONFIG = """
global: {scrape_interval: 200ms, scrape_timeout: 200ms}
scrape_configs:
  - job_name: app
    static_configs: [{targets: ["TARGET"]}]
"""


class Prometheus:
    """A running server; it scrapes five times a second, at first after some seconds."""

    def __init__(self, process: ServerProcess, port: int) -> None:
        self.process = process
        self._port = port

    def query(self, promql: str) -> list[tuple[dict[str, str], float]]:
        """The answer to a question that has a vector as its answer."""
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=10)
        try:
            connection.request("GET", "/api/v1/query?" + urlencode({"query": promql}))
            answer: dict[str, Any] = json.loads(connection.getresponse().read())
        finally:
            connection.close()
        assert answer["status"] == "success", answer
        return [(row["metric"], float(row["value"][1])) for row in answer["data"]["result"]]

    def wait_for(self, promql: str, seconds: float = 30) -> list[tuple[dict[str, str], float]]:
        """The answer, as soon as there is one."""
        until = time.monotonic() + seconds
        while not (found := self.query(promql)):
            assert time.monotonic() < until, f"nothing for {promql}"
            time.sleep(0.1)
        return found


@contextmanager
def prometheus(target: str) -> Iterator[Prometheus]:
    """Run a server that scrapes ``http://TARGET/metrics``. Skips when Prometheus is not there."""
    program = shutil.which("prometheus")
    require("Prometheus (Debian: prometheus)", program)
    assert program
    folder, port = private_folder(), free_port()
    (folder / "prometheus.yml").write_text(CONFIG.replace("TARGET", target), encoding="utf-8")
    options = [f"--storage.tsdb.path={folder}/data", f"--web.listen-address=127.0.0.1:{port}"]
    server: Prometheus
    process = ServerProcess(
        [program, f"--config.file={folder}/prometheus.yml", *options], lambda: server.query("vector(1)"), folder
    )
    server = Prometheus(process, port)
    process.start()
    try:
        yield server
    finally:
        process.close()
