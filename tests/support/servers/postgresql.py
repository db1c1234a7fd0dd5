"""PostgreSQL for the tests: ours, or the one at ``TOLLKEEPER_TEST_POSTGRESQL``, whose user may create databases."""

from __future__ import annotations

import atexit
import itertools
import os
import shutil
import signal
import subprocess
from functools import cache
from pathlib import Path
from urllib.parse import quote, urlsplit

import psycopg

from support.requirements import require
from support.servers.process import ServerProcess, free_port, private_folder

__all__ = ["PASSWORD", "PostgreSQL", "postgresql"]

PASSWORD = "tests' own: %/@"
# Its processes are killed, never the machine: what it wrote is there, on the disk or not. Hundreds of small databases
# need no vacuum.
OPTIONS = ("-c", "fsync=off", "-c", "autovacuum=off")


class PostgreSQL:
    """``url`` is that of an administrator; ``process`` is None when the server is not ours to stop."""

    def __init__(self, url: str, process: ServerProcess | None) -> None:
        self.url = url
        self.process = process
        self._numbers = itertools.count()

    def fresh_database(self, like: str = "template1") -> str:
        """Make a database, and give the URL of it; on a server that is not ours, it is dropped at exit.

        It is empty, or a copy of ``like``, which nobody may be connected to.
        """
        name = f"tollkeeper_{os.getpid()}_{next(self._numbers)}"
        self._drop(name)
        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute(f'CREATE DATABASE "{name}" TEMPLATE "{like}"')
        if self.process is None:
            atexit.register(self._drop, name)
        return urlsplit(self.url)._replace(path=f"/{name}").geturl()

    def _drop(self, name: str) -> None:
        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')


def postgresql() -> PostgreSQL:
    """The one server of this process, running; started at the first call, ended at exit. Skips when there is none."""
    server = _shared()
    if server.process is not None:
        server.process.start()
    return server


@cache
def _shared() -> PostgreSQL:
    if address := os.environ.get("TOLLKEEPER_TEST_POSTGRESQL"):
        return PostgreSQL(address, None)
    folders = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: float(path.parent.name))
    search = os.pathsep.join([*map(str, reversed(folders)), os.environ.get("PATH", "")])
    initdb, server = shutil.which("initdb", path=search), shutil.which("postgres", path=search)
    require("PostgreSQL (Debian: postgresql)", initdb and server)
    assert initdb
    assert server
    user = "postgres" if os.geteuid() == 0 else None  # it refuses root
    folder, port = private_folder(user), free_port()
    secret = folder / "password"
    secret.write_text(PASSWORD, encoding="utf-8")
    options = ["-A", "scram-sha-256", "-U", "tester", f"--pwfile={secret}", "-E", "UTF8", "--locale=C.UTF-8"]
    subprocess.run(
        [initdb, "-D", folder / "data", *options, "--no-sync"],
        check=True,
        capture_output=True,
        timeout=120,
        cwd=folder,
        user=user,
    )
    url = f"postgresql://tester:{quote(PASSWORD, safe='')}@127.0.0.1:{port}/postgres"
    process = ServerProcess(
        [server, "-D", folder / "data", "-p", str(port), "-h", "127.0.0.1", "-k", folder, *OPTIONS],
        lambda: psycopg.connect(url, connect_timeout=5).close(),
        folder,
        user=user,
        stop_signal=signal.SIGINT,  # ends connections, not only waits for their end
        quit_signal=signal.SIGQUIT,  # at once, but with its processes and shared memory
    )
    return PostgreSQL(url, process)
