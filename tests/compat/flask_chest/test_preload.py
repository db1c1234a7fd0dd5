"""Under ``gunicorn --preload``: chests that were made, and written, before the workers were forked."""

from __future__ import annotations

import http.client
import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from support.servers.mariadb import mariadb
from support.servers.process import free_port

if TYPE_CHECKING:
    from pathlib import Path

APP = """
import os
from flask import Flask, g
from tollkeeper.compat.flask_chest import FlaskChestMySQL, FlaskChestSQLite, flask_chest

app = Flask(__name__)
chests = [FlaskChestSQLite(app, db_uri="db.sqlite3"), FlaskChestMySQL(os.environ["TEST_URL"])]
for chest in chests:
    chest.write([("pid", os.getpid(), "master")])

@app.get("/")
@flask_chest(chests, {"GET": ["pid", "again"]})
def index():
    g.pid = g.again = os.getpid()
    return str(g.pid)
"""
REQUESTS = 120


@pytest.mark.timeout(120)
def test_workers_of_gunicorn_preload_write_all(tmp_path: Path) -> None:
    server = mariadb()
    url = server.fresh_database()
    (tmp_path / "app.py").write_text(APP)
    port = free_port()
    options = ["--preload", "--workers", "3", "--threads", "3", "--bind", f"127.0.0.1:{port}", "app:app"]
    gunicorn = subprocess.Popen(
        [sys.executable, "-m", "gunicorn", *options], cwd=tmp_path, env=os.environ | {"TEST_URL": url}
    )
    try:
        answers = ask(port)
    finally:
        gunicorn.send_signal(signal.SIGTERM)
        gunicorn.wait(30)
    assert len(answers) == REQUESTS
    assert len(set(answers)) > 1, "several workers have answered"
    expected = sorted([str(gunicorn.pid)] + answers * 2)
    with closing(sqlite3.connect(tmp_path / "db.sqlite3")) as connection:
        assert sorted(value for (value,) in connection.execute("SELECT value FROM flask_chest")) == expected
    with closing(server.connect(url)) as database, database.cursor() as cursor:
        cursor.execute("SELECT value FROM flask_chest")
        assert sorted(value for (value,) in cursor.fetchall()) == expected


def ask(port: int) -> list[str]:
    """What the workers answer to several clients at once."""
    until = time.monotonic() + 30
    answers: list[str] = []

    def work() -> None:
        count = 0
        while count < REQUESTS // 6 and time.monotonic() < until:
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
            try:
                connection.request("GET", "/")
                response = connection.getresponse()
                if response.status == 200:
                    answers.append(response.read().decode())
                    count += 1
            except ConnectionRefusedError:
                time.sleep(0.05)
            finally:
                connection.close()

    threads = [threading.Thread(target=work) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    return answers
