"""Apps in real servers and in processes of their own, the traffic on them, and what their sink holds afterwards."""

from __future__ import annotations

import http.client
import itertools
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

from support.threads import Threads

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

__all__ = ["OPEN", "SHOP", "Host", "Load", "get", "hosted", "paths", "rows", "run_script"]

SHOP = """
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
OPEN = "the shop is open"
READY = "ready to work"
# A worker of gunicorn that is told to end while it starts does not hear it.
HOOKS = f"""
graceful_timeout = 10

def post_worker_init(worker):
    print({READY!r}, flush=True)
"""
PROGRAMS = {
    "gunicorn": ["-m", "gunicorn", "--no-control-socket", "-b", "{address}", "shop:app"],
    # Under its own name, uWSGI is a program with a Python of its own; as a module it runs in ours.
    "uwsgi": [
        *["-c", "import pyuwsgi; pyuwsgi.run()", "--master", "--die-on-term", "--need-app", "--disable-logging"],
        *["--http-socket", "{address}", "--wsgi-file", "shop.py", "--callable", "app", "--master-fifo", "orders"],
    ],
}
START_SECONDS = STOP_SECONDS = 30.0


def environment(folder: Path, **more: str) -> dict[str, str]:
    """The environment of an app in ``folder`` that records into a file there, without the settings of the tester."""
    # A measurement of coverage does not survive a fork among threads: its own lock may be held.
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("TOLLKEEPER_", "COVERAGE_"))}
    search = os.pathsep.join(filter(None, [str(folder), os.environ.get("PYTHONPATH")]))
    ours = {"TOLLKEEPER_SINK": f"sqlite:///{folder}/usage.db", "PYTHONPATH": search, "PYTHONUNBUFFERED": "1"}
    return inherited | ours | more


class Host:
    """A server that runs; ``log`` is what it and the app printed."""

    def __init__(self, process: subprocess.Popen[bytes], port: int, printed: Path) -> None:
        self.process = process
        self.port = port
        self._printed = printed

    @property
    def log(self) -> str:
        return self._printed.read_text(errors="replace")

    def signal(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def stop(self, *, busy: bool = False) -> None:
        """End it by SIGTERM, or when it is ``busy`` in the way that lets its requests end first."""
        if self.process.poll() is not None:
            return
        orders = self._printed.with_name("orders")
        if busy and orders.exists():  # by SIGTERM, uWSGI cuts requests off, and skips what is to be done at exit
            orders.write_text("q")
        else:
            self.signal(signal.SIGTERM)
        try:
            self.process.wait(STOP_SECONDS)
        finally:
            self.process.kill()  # does nothing to one that has ended


@contextmanager
def hosted(
    folder: Path,
    program: str,
    *options: str,
    app: str = SHOP,
    workers: int = 1,
    more: Mapping[str, str] | None = None,
) -> Iterator[Host]:
    """The app in ``program``, a key of PROGRAMS, until the end of the block, when so many workers have loaded it.

    ``more`` is added to its environment. It prints OPEN each time that it is loaded.
    """
    ready = READY if program == "gunicorn" else OPEN
    (folder / "shop.py").write_text(f"{app}\nprint({OPEN!r}, flush=True)\n")
    (folder / "gunicorn.conf.py").write_text(HOOKS)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, *PROGRAMS[program], *options]
    printed = folder / "log"
    with printed.open("ab") as log:
        process = subprocess.Popen(
            [part.format(address=f"127.0.0.1:{port}") for part in command],
            cwd=folder,
            env=environment(folder, **(more or {})),
            stdout=log,
            stderr=log,
        )
    host = Host(process, port, printed)
    try:
        until = time.monotonic() + START_SECONDS
        while host.log.count(ready) < workers or not _listens(port):
            assert process.poll() is None, host.log
            assert time.monotonic() < until, host.log
            time.sleep(0.02)
        yield host
    finally:
        host.stop()


def _listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True


def get(port: int, path: str, method: str = "GET") -> tuple[int, bytes]:
    """Ask over a connection of its own."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request(method, path)
        response = connection.getresponse()
        return response.status, response.read()
    finally:
        connection.close()


class Load(Threads):
    """Threads that ask for /users/0, /users/1, … until the end of the block; ``answered`` are those that got a 200."""

    def __init__(self, port: int, *, threads: int = 4, pause: float = 0.0) -> None:
        super().__init__(threads)
        self.answered: set[str] = set()
        self.asked: set[str] = set()
        self._port = port
        self._pause = pause
        self._numbers = itertools.count()

    def wait_for(self, count: int) -> None:
        """Wait until so many have been answered since now."""
        target, until = len(self.answered) + count, time.monotonic() + 30
        while len(self.answered) < target:
            assert time.monotonic() < until, f"{len(self.answered)} of {target} answers"
            time.sleep(0.01)

    def work(self) -> None:
        while not self.ending.is_set():
            path = f"/users/{next(self._numbers)}"
            self.asked.add(path)
            try:
                if get(self._port, path)[0] == http.client.OK:
                    self.answered.add(path)
            except (OSError, http.client.HTTPException):  # the server ends or starts
                self.ending.wait(0.05)
            self.ending.wait(self._pause)

    def check(self, recorded: Counter[str]) -> None:
        """Assert that each answer was recorded once, and nothing that was not asked for."""
        mine = Counter({path: count for path, count in recorded.items() if path.startswith("/users/")})
        assert sorted(self.answered - mine.keys()) == []
        assert {path: count for path, count in mine.items() if count > 1} == {}
        assert sorted(mine.keys() - self.asked) == []


def rows(path: Path, query: str) -> list[tuple[object, ...]]:
    """What a query of a SQLite file answers."""
    connection = sqlite3.connect(f"file:{path}?mode=rw", uri=True)
    try:
        return connection.execute(query).fetchall()
    finally:
        connection.close()


def paths(folder: Path) -> Counter[str]:
    """How often each path was recorded by the app in ``folder``; nothing when there is no table yet."""
    try:
        return Counter(str(path) for (path,) in rows(folder / "usage.db", "SELECT path FROM usage_events"))
    except sqlite3.OperationalError:
        return Counter()


def run_script(folder: Path, script: str, *, errors: str | None = "", code: int = 0, **more: str) -> str:
    """Run a script beside the app in a Python of its own, until it ends with ``code``, and give what it printed.

    ``errors`` is what it must have printed on stderr; None when that is all one.
    """
    (folder / "shop.py").write_text(SHOP)
    (folder / "script.py").write_text(textwrap.dedent(script))
    done = subprocess.run(
        # That forks and threads may not mix is what these tests are about.
        [sys.executable, "-W", "error", "-W", "ignore:This process (pid:DeprecationWarning", "script.py"],
        cwd=folder,
        env=environment(folder, **more),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == code, done.stderr
    if errors is not None:
        assert done.stderr == errors
    return done.stdout
