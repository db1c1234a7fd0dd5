"""Under ``gunicorn --preload``: what the master has observed, and what each worker, is written once."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import uuid
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from compat.flask_chest.test_preload import REQUESTS, ask
from support.readme import ReadMe
from support.servers.mongodb import mongodb
from support.servers.process import free_port

if TYPE_CHECKING:
    from pathlib import Path

APP = """
import os
from flask import Flask
from tollkeeper.compat.flask_api_usage import Usage
from tollkeeper.compat.readme_metrics import MetricsApiConfig, ReadMeMetrics
from tollkeeper.flask import Tollkeeper

app = Flask(__name__)
app.config["USAGE_MONGODB_SETTINGS"] = {"db": os.environ["TEST_DB"], "host": os.environ["TEST_URL"]}
keeper = Tollkeeper(app, sink="sqlite:///usage.db")
usage = Usage(app)
metrics = ReadMeMetrics(MetricsApiConfig("key", lambda _: {"api_key": "abcdefgh"}), app)
app.add_url_rule("/", view_func=lambda: str(os.getpid()))
for flushed in (True, False):
    app.test_client().get("/", buffered=True)
    assert not flushed or all(door.flush(10) for door in (keeper, usage.keeper, metrics))
"""


@pytest.mark.timeout(120)
def test_each_request_is_recorded_once_by_each(tmp_path: Path) -> None:
    server, service, name = mongodb(), ReadMe(), f"usage_{uuid.uuid4().hex}"
    (tmp_path / "app.py").write_text(APP)
    port = free_port()
    options = ["--preload", "--workers", "3", "--threads", "3", "--bind", f"127.0.0.1:{port}", "app:app"]
    places = {"TEST_URL": server.url, "TEST_DB": name, "README_METRICS_SERVER": service.url}
    gunicorn = subprocess.Popen([sys.executable, "-m", "gunicorn", *options], cwd=tmp_path, env=os.environ | places)
    try:
        answers = ask(port)
    finally:
        gunicorn.send_signal(signal.SIGTERM)
        gunicorn.wait(30)
    service.stop()
    assert len(set(answers)) > 1, "several workers have answered"
    expected = sorted([str(gunicorn.pid)] * 2 + answers)
    assert len(expected) == REQUESTS + 2
    with closing(sqlite3.connect(tmp_path / "usage.db")) as connection:
        counted = connection.execute("SELECT count(*), count(DISTINCT id) FROM usage_events").fetchone()
    assert counted == (len(expected), len(expected))
    with server.connect() as client:
        documents = list(client[name]["api-usage"].find())
        client.drop_database(name)
    assert len(documents) == len(expected)
    logs = service.logs
    assert sorted(log["request"]["log"]["entries"][0]["response"]["content"]["text"] for log in logs) == expected
    assert len({log["_id"] for log in logs}) == len(expected)
