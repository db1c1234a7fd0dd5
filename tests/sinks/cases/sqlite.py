from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING, ClassVar

from sinks.cases import base
from tollkeeper.sinks.sqlite import SQLiteSink

if TYPE_CHECKING:
    from tollkeeper.sinks.base import Sink


class Case(base.Case):
    poison: ClassVar = {"path": "half of a pair: \ud83d"}

    def make(self, *, timeout: float = 10.0) -> Sink:  # noqa: ARG002 - it waits for as long as SQLite does
        return SQLiteSink(self.folder / "usage.db")

    def documents(self) -> base.Documents:
        with closing(sqlite3.connect(self.folder / "usage.db")) as connection:
            rows = connection.execute("SELECT source, id, document FROM usage_events").fetchall()
        return {(source, name): json.loads(document) for source, name, document in rows}
