"""MariaDB for the tests, over the MySQL protocol: ours, or the server at ``TOLLKEEPER_TEST_MYSQL``."""

from __future__ import annotations

import atexit
import getpass
import itertools
import os
import shutil
import subprocess
from functools import cache
from typing import Any
from urllib.parse import quote, unquote, urlsplit

import pymysql

from support.requirements import require
from support.servers.process import ServerProcess, free_port, private_folder

__all__ = ["PASSWORD", "MariaDB", "mariadb"]

PASSWORD = "tests' own: %/@"


class MariaDB:
    """``url`` is that of an administrator; ``process`` is None when the server is not ours to stop."""

    def __init__(self, url: str, process: ServerProcess | None) -> None:
        self.url = url
        self.process = process
        self._numbers = itertools.count()

    def connect(self, url: str = "") -> pymysql.Connection[Any]:
        """Connect to the database in a URL, with the driver."""
        parts = urlsplit(url or self.url)
        return pymysql.connect(
            host=parts.hostname,
            port=parts.port or 3306,
            user=unquote(parts.username or ""),
            password=unquote(parts.password or ""),
            database=unquote(parts.path[1:]) or None,
            connect_timeout=5,
            autocommit=True,
        )

    def fresh_database(self) -> str:
        """Make an empty database, and give the URL of it; on a server that is not ours, it is dropped at exit."""
        name = f"tollkeeper_{os.getpid()}_{next(self._numbers)}"
        self._drop(name)
        with self.connect() as connection, connection.cursor() as cursor:
            # As careless as servers are: what the sink needs, its table must say.
            cursor.execute(f"CREATE DATABASE `{name}` CHARACTER SET latin1 COLLATE latin1_swedish_ci")
        if self.process is None:
            atexit.register(self._drop, name)
        return urlsplit(self.url)._replace(path=f"/{name}").geturl()

    def _drop(self, name: str) -> None:
        with self.connect() as connection, connection.cursor() as cursor:
            cursor.execute(f"DROP DATABASE IF EXISTS `{name}`")


def mariadb() -> MariaDB:
    """The one server of this process, running; started at the first call, ended at exit. Skips when there is none."""
    server = _shared()
    if server.process is not None:
        server.process.start()
    return server


@cache
def _shared() -> MariaDB:
    if address := os.environ.get("TOLLKEEPER_TEST_MYSQL"):
        return MariaDB(address, None)
    search = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin"])
    install, server = shutil.which("mariadb-install-db", path=search), shutil.which("mariadbd", path=search)
    require("MariaDB (Debian: mariadb-server)", install and server)
    assert install
    assert server
    folder, port, user = private_folder(), free_port(), getpass.getuser()
    subprocess.run(
        [
            *(install, "--no-defaults", f"--datadir={folder}/data", f"--user={user}", "--skip-test-db"),
            "--auth-root-authentication-method=normal",
        ],
        check=True,
        capture_output=True,
        timeout=120,
        cwd=folder,
    )
    # Run before it listens: there is no moment without a password.
    (folder / "init.sql").write_text(
        f"CREATE OR REPLACE USER tester@'127.0.0.1' IDENTIFIED BY '{PASSWORD.replace(chr(39), chr(39) * 2)}';"
        "\nGRANT ALL ON *.* TO tester@'127.0.0.1' WITH GRANT OPTION;\n",
        encoding="utf-8",
    )
    made = MariaDB(f"mysql://tester:{quote(PASSWORD, safe='')}@127.0.0.1:{port}", None)
    made.process = ServerProcess(
        [
            *(server, "--no-defaults", f"--datadir={folder}/data", f"--port={port}", "--bind-address=127.0.0.1"),
            *(f"--socket={folder}/s.sock", f"--pid-file={folder}/own.pid", f"--user={user}", "--skip-name-resolve"),
            *(f"--init-file={folder}/init.sql", "--sql-mode=", "--character-set-client-handshake=1"),
        ],
        lambda: made.connect().close(),
        folder,
    )
    return made
