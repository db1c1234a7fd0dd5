"""Real servers, forks and ends of processes: the host answers as ever, and each of its requests is recorded once."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import textwrap
import time
from collections import Counter
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

APP = """
import os, time
from flask import Flask, Response, send_file
from tollkeeper.flask import Tollkeeper

app = Flask("shop")

@app.get("/users/<int:id>")
def user(id):
    return {"id": id, "pid": os.getpid()}

@app.get("/stream")
def stream():
    def chunks():
        for n in range(3):
            yield f"{n} "
            time.sleep(0.1)
    return Response(chunks())

@app.get("/file")
def file():
    return send_file(__file__, mimetype="text/plain")

@app.get("/boom")
def boom():
    raise ValueError("boom")

keeper = Tollkeeper(app)
"""


def rows(path: Path, query: str) -> list[tuple[object, ...]]:
    connection = sqlite3.connect(path)
    try:
        return connection.execute(query).fetchall()
    finally:
        connection.close()


def environment(tmp_path: Path) -> dict[str, str]:
    return os.environ | {"TOLLKEEPER_SINK": f"sqlite:///{tmp_path}/usage.db", "PYTHONPATH": str(tmp_path)}


@contextmanager
def gunicorn(tmp_path: Path, *options: str) -> Iterator[int]:
    (tmp_path / "shop.py").write_text(APP)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "gunicorn", "-b", f"127.0.0.1:{port}", "--no-control-socket", *options, "shop:app"]
    with (tmp_path / "log").open("wb") as log:
        server = subprocess.Popen(command, cwd=tmp_path, env=environment(tmp_path), stdout=log, stderr=log)
    try:
        until = time.monotonic() + 20
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), timeout=1).close()
                break
            except OSError:
                assert server.poll() is None, (tmp_path / "log").read_text()
                assert time.monotonic() < until
                time.sleep(0.05)
        yield port
    finally:
        server.send_signal(signal.SIGTERM)
        try:
            server.wait(20)
        finally:
            server.kill()


def get(port: int, path: str, method: str = "GET") -> tuple[int, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request(method, path)
        response = connection.getresponse()
        return response.status, response.read()
    finally:
        connection.close()


@pytest.mark.parametrize("options", [["--preload", "-w", "2"], ["-w", "2"], ["--preload", "-w", "2", "--threads", "4"]])
def test_gunicorn_loses_nothing_and_counts_nothing_twice(tmp_path: Path, options: list[str]) -> None:
    with gunicorn(tmp_path, *options) as port:
        pids = Counter(json.loads(get(port, f"/users/{number}")[1])["pid"] for number in range(300))
        assert get(port, "/stream") == (200, b"0 1 2 ")
        assert get(port, "/file") == (200, APP.encode())
        assert get(port, "/file", "HEAD") == (200, b"")
        assert get(port, "/boom")[0] == 500
        assert get(port, "/nothing")[0] == 404
    found = rows(
        tmp_path / "usage.db", "SELECT route, status_code, count(*) FROM usage_events GROUP BY 1, 2 ORDER BY 1, 2"
    )
    assert found == [
        ("(unmatched)", 404, 1),
        ("/boom", 500, 1),
        ("/file", 200, 2),
        ("/stream", 200, 1),
        ("/users/{id}", 200, 300),
    ], (tmp_path / "log").read_text()
    assert sum(pids.values()) == 300
    (((elapsed,),)) = rows(tmp_path / "usage.db", "SELECT elapsed_time FROM usage_events WHERE route = '/stream'")
    assert isinstance(elapsed, float)
    assert 0.3 <= elapsed < 5
    sizes = (
        "SELECT json_extract(document, '$.response.content_length') FROM usage_events WHERE route = '/file' ORDER BY 1"
    )
    assert rows(tmp_path / "usage.db", sizes) == [(0,), (len(APP),)]


def run(tmp_path: Path, script: str) -> str:
    (tmp_path / "shop.py").write_text(APP)
    (tmp_path / "script.py").write_text(textwrap.dedent(script))
    done = subprocess.run(
        [sys.executable, "-W", "error", "-W", "ignore::DeprecationWarning:multiprocessing", "script.py"],
        cwd=tmp_path,
        env=environment(tmp_path),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def paths(tmp_path: Path) -> Counter[object]:
    return Counter(path for (path,) in rows(tmp_path / "usage.db", "SELECT path FROM usage_events"))


def test_what_waits_is_sent_when_the_interpreter_ends(tmp_path: Path) -> None:
    run(
        tmp_path,
        """
        from shop import app
        client = app.test_client()
        for number in range(50):
            client.get(f"/users/{number}", buffered=True)
        """,
    )
    assert paths(tmp_path) == Counter(f"/users/{number}" for number in range(50))
    assert not (tmp_path / "usage.db-wal").exists()  # and the file was closed in good order


def test_an_exit_by_an_exception_sends_what_waits_too(tmp_path: Path) -> None:
    run(
        tmp_path,
        """
        import sys
        from shop import app
        app.test_client().get("/users/1", buffered=True)
        sys.exit(0)
        """,
    )
    assert paths(tmp_path) == Counter(["/users/1"])


def test_a_sink_that_hangs_holds_up_the_exit_no_longer_than_it_may(tmp_path: Path) -> None:
    began = time.monotonic()
    output = run(
        tmp_path,
        """
        import logging, sys, threading, time
        logging.basicConfig(stream=sys.stdout)
        from flask import Flask
        from tollkeeper.flask import Tollkeeper

        class Hanging:
            def send(self, events):
                time.sleep(60)
            def close(self):
                pass

        app = Flask("x")
        app.config["TOLLKEEPER_SHUTDOWN_SECONDS"] = 0.5
        Tollkeeper(app, sink=Hanging())
        app.test_client().get("/", buffered=True)
        """,
    )
    assert time.monotonic() - began < 20
    assert "lost 1 events" in output


def test_after_a_fork_parent_and_child_each_send_their_own_once(tmp_path: Path) -> None:
    run(
        tmp_path,
        """
        import os, time, warnings
        warnings.simplefilter("ignore", DeprecationWarning)  # that forks and threads may not mix is the point
        from shop import app, keeper
        client = app.test_client()
        children = []
        for number in range(200):
            client.get(f"/users/{number}", buffered=True)
            if number % 20 == 10:  # events wait, or are on their way, at the moment of the fork
                if number % 40 == 10:
                    keeper.flush(5)
                child = os.fork()
                if child == 0:
                    assert keeper.stats().captured == 0
                    for mine in range(5):
                        client.get(f"/users/{1000 * os.getppid() + 10 * number + mine}", buffered=True)
                    done = keeper.flush(10) and keeper.stats().sent == 5 and keeper.close(5)
                    os._exit(0 if done else 1)
                children.append(child)
        assert all(os.waitpid(child, 0)[1] == 0 for child in children)
        assert keeper.close(10)
        assert keeper.stats().sent == 200, keeper.stats()
        """,
    )
    found = paths(tmp_path)
    assert len(found) == 250
    assert set(found.values()) == {1}


def test_children_of_multiprocessing_send_before_they_end(tmp_path: Path) -> None:
    run(
        tmp_path,
        """
        import multiprocessing, warnings
        warnings.simplefilter("ignore", DeprecationWarning)
        from shop import app

        def work(number):
            app.test_client().get(f"/users/{number}", buffered=True)

        if __name__ == "__main__":
            app.test_client().get("/users/99", buffered=True)
            context = multiprocessing.get_context("fork")
            workers = [context.Process(target=work, args=(number,)) for number in range(4)]
            for worker in workers:
                worker.start()
            for worker in workers:
                worker.join(30)
            assert [worker.exitcode for worker in workers] == [0] * 4
        """,
    )
    assert paths(tmp_path) == Counter([*(f"/users/{number}" for number in range(4)), "/users/99"])
