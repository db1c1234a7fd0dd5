from __future__ import annotations

import json
from typing import TYPE_CHECKING, ClassVar
from urllib.parse import urlsplit

from sinks.cases import base
from support.requirements import require
from support.servers.mariadb import mariadb
from tollkeeper.sinks.mysql import MySQLSink

if TYPE_CHECKING:
    from pathlib import Path

    from support.servers.process import ServerProcess
    from tollkeeper.sinks.base import Sink


class Case(base.Case):
    has_server = True
    has_password = True
    driver = ("pymysql", "mysql")
    poison: ClassVar = {"status_code": 2**40}

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self._server = mariadb()
        self.url = self._server.fresh_database()

    def make(self, *, timeout: float = 10.0) -> Sink:
        return MySQLSink(self.url, timeout=timeout)

    def documents(self) -> base.Documents:
        with self._server.connect(self.url) as connection, connection.cursor() as cursor:
            cursor.execute("SELECT source, id, document FROM usage_events")
            return {(source, name): json.loads(document) for source, name, document in cursor.fetchall()}

    @property
    def server(self) -> ServerProcess:
        require("a MariaDB that tests may stop", self._server.process)
        assert self._server.process
        return self._server.process

    def intruder(self, password: str) -> Sink:
        parts = urlsplit(self.url)
        place = f"{parts.username}:{password}@{parts.hostname}:{parts.port}"
        return MySQLSink(parts._replace(netloc=place).geturl())
