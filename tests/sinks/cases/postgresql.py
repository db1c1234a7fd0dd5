from __future__ import annotations

import json
from typing import TYPE_CHECKING, ClassVar
from urllib.parse import urlsplit

import psycopg

from sinks.cases import base
from support.requirements import require
from support.servers.postgresql import postgresql
from tollkeeper.sinks.postgresql import PostgreSQLSink

if TYPE_CHECKING:
    from pathlib import Path

    from support.servers.process import ServerProcess
    from tollkeeper.sinks.base import Sink


class Case(base.Case):
    has_server = True
    has_password = True
    driver = ("psycopg", "postgresql")
    poison: ClassVar = {"status_code": 2**40}

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self._server = postgresql()
        self.url = self._server.fresh_database()

    def make(self, *, timeout: float = 10.0) -> Sink:
        return PostgreSQLSink(self.url, timeout=timeout)

    def documents(self) -> base.Documents:
        with psycopg.connect(self.url) as connection:
            rows = connection.execute("SELECT source, id, document::text FROM usage_events").fetchall()
        return {(source, name): json.loads(document, parse_int=_number) for source, name, document in rows}

    @property
    def server(self) -> ServerProcess:
        require("a PostgreSQL that tests may stop", self._server.process)
        assert self._server.process
        return self._server.process

    def intruder(self, password: str) -> Sink:
        parts = urlsplit(self.url)
        place = f"{parts.username}:{password}@{parts.hostname}:{parts.port}"
        return PostgreSQLSink(parts._replace(netloc=place).geturl())


def _number(digits: str) -> int | float:
    """From a number as jsonb writes it, without an exponent."""
    return int(digits) if len(digits) < 100 else float(digits)
