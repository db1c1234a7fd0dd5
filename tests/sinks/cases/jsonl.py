from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, ClassVar

from sinks.cases import base
from tollkeeper.sinks.jsonl import JSONLinesSink

if TYPE_CHECKING:
    from tollkeeper.sinks.base import Sink


class Case(base.Case):
    counts_once = False
    poison: ClassVar = {"path": "half of a pair: \ud83d"}

    def make(self, *, timeout: float = 10.0) -> Sink:  # noqa: ARG002 - it waits for as long as a lock may be held
        return JSONLinesSink(self.folder / "usage.jsonl", max_bytes=100_000, keep=100)

    def documents(self) -> base.Documents:
        found = self._lines()
        documents = {(document.get("source", ""), document["id"]): document for document in found}
        assert len(documents) == len(found)
        return documents

    def count(self) -> int:
        return len(self._lines())

    def _lines(self) -> list[dict[str, Any]]:
        files = self.folder.glob("usage.jsonl*")
        return [json.loads(line) for file in files for line in file.read_bytes().splitlines()]
