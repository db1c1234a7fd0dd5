"""The write API of InfluxDB 2 for the tests: Debian's influxd 1 behind a proxy, or ``TOLLKEEPER_TEST_INFLUXDB``.

The variable is ``http://:TOKEN@HOST:PORT/ORG/BUCKET``, a bucket of the tests' own.
"""

from __future__ import annotations

import http.client
import itertools
import json
import os
import shutil
import threading
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, quote, urlencode, urlsplit

from influxdb_client.client.influxdb_client import InfluxDBClient

from support.requirements import require
from support.servers.process import ServerProcess, free_port, private_folder

__all__ = ["TOKEN", "InfluxDB", "influxdb"]

TOKEN = "tests' own: %/@"
ORG = "tests"
PRECISIONS = {"ns": "n", "us": "u", "ms": "ms", "s": "s"}
Row = dict[str, Any]


class InfluxDB:
    """``url`` is what the sink is made from; ``process`` is None when the server is not ours to stop."""

    def __init__(self, url: str, process: ServerProcess | None, port: int = 0) -> None:
        self.url = url
        self.process = process
        self._port = port
        self._numbers = itertools.count()

    def fresh_bucket(self) -> str:
        """The URL of an empty bucket; of the only one, when the server is not ours."""
        if self.process is None:
            return self.url
        name = f"bucket {next(self._numbers)}"
        self._query(f'CREATE DATABASE "{name}"', "POST")
        return f"{self.url}/{quote(name)}"

    def points(self, url: str, measurement: str = "usage_events") -> list[Row]:
        """All points of a bucket, tags and fields and ``time`` in nanoseconds."""
        if self.process is None:
            return _points_by_flux(url, measurement)
        series = self._query(f'SELECT * FROM "{measurement}"', "GET", url).get("series", [])
        return [dict(zip(part["columns"], row, strict=True)) for part in series for row in part["values"]]

    def _query(self, question: str, method: str, url: str = "") -> Any:
        bucket = {"db": parse_bucket(url)} if url else {}
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=10)
        try:
            connection.request(method, "/query?" + urlencode({"q": question, "epoch": "ns"} | bucket))
            return json.loads(connection.getresponse().read())["results"][0]
        finally:
            connection.close()


def influxdb() -> InfluxDB:
    """The one server of this process, running; started at the first call, ended at exit. Skips when there is none."""
    server = _shared()
    if server.process is not None:
        server.process.start()
    return server


def parse_bucket(url: str) -> str:
    """The bucket at the end of a URL."""
    return parse_qs(f"bucket={urlsplit(url).path.rpartition('/')[2]}")["bucket"][0]


@cache
def _shared() -> InfluxDB:
    if address := os.environ.get("TOLLKEEPER_TEST_INFLUXDB"):
        return InfluxDB(f"influxdb+{address}", None)
    program = shutil.which("influxd")
    require("InfluxDB (Debian: influxdb)", program)
    assert program
    folder, port, rpc = private_folder(), free_port(), free_port()
    (folder / "influxdb.conf").write_text(
        f"""
reporting-disabled = true
bind-address = "127.0.0.1:{rpc}"
[meta]
dir = "{folder}/meta"
[data]
dir = "{folder}/data"
wal-dir = "{folder}/wal"
[http]
bind-address = "127.0.0.1:{port}"
log-enabled = false
[monitor]
store-enabled = false
[continuous_queries]
enabled = false
""",
        encoding="utf-8",
    )
    process = ServerProcess([program, "-config", folder / "influxdb.conf"], lambda: _ping(port), folder)
    proxy = _proxy(port)
    return InfluxDB(f"influxdb+http://:{quote(TOKEN, safe='')}@127.0.0.1:{proxy}/{ORG}", process, port)


def _ping(port: int) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", "/ping")
        assert connection.getresponse().status == http.client.NO_CONTENT
    finally:
        connection.close()


def _proxy(port: int) -> int:
    """Speak the write API of version 2 in front of version 1; gives its port."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            target = urlsplit(self.path)
            query = {name: values[0] for name, values in parse_qs(target.query).items()}
            if target.path != "/api/v2/write" or query.get("org") != ORG:
                self._answer(404, b'{"code": "not found", "message": "organization not found"}')
            elif self.headers["Authorization"] != f"Token {TOKEN}":
                self._answer(401, b'{"code": "unauthorized", "message": "unauthorized access"}')
            else:
                self._forward(urlencode({"db": query["bucket"], "precision": PRECISIONS[query["precision"]]}), body)

        def _forward(self, query: str, body: bytes) -> None:
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
            encoding = {"Content-Encoding": self.headers["Content-Encoding"] or "identity"}
            try:
                connection.request("POST", f"/write?{query}", body, encoding)
                response = connection.getresponse()
                told = response.read()
            except OSError:  # the server is not there: neither is the proxy
                self.close_connection = True
                return
            finally:
                connection.close()
            if told:
                told = json.dumps({"code": "invalid", "message": json.loads(told)["error"]}).encode()
            self._answer(response.status, told)

        def _answer(self, status: int, body: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    return server.server_address[1]


def _points_by_flux(url: str, measurement: str) -> list[Row]:
    parts = urlsplit(url.removeprefix("influxdb+"))
    token = parse_qs(f"token={parts.password}")["token"][0]
    bucket = parse_bucket(url)
    question = (
        f'from(bucket: "{bucket}") |> range(start: 0) |> filter(fn: (r) => r._measurement == "{measurement}")'
        ' |> pivot(rowKey: ["_time"], columnKey: ["_field"], valueColumn: "_value")'
    )
    host = f"{parts.scheme}://{parts.hostname}:{parts.port}"
    with InfluxDBClient(host, token=token, org=parts.path.split("/")[1]) as client:
        tables = client.query_api().query(question)
    return [record.values | {"time": record.values["_time"]} for table in tables for record in table.records]
