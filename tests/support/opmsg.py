"""A tiny server of MongoDB's wire protocol that answers as a test tells it to: faults at will."""

from __future__ import annotations

import socketserver
import struct
import threading
from typing import TYPE_CHECKING, Any, Self

import bson

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["DROP", "MongoFaults"]

OP_QUERY, OP_REPLY, OP_MSG = 2004, 1, 2013
DROP: dict[str, Any] = {"drop": True}
"""As an answer: end the connection, when the command has been carried out."""
HELLO = {
    "ok": 1.0,
    "ismaster": True,
    "isWritablePrimary": True,
    "maxBsonObjectSize": 2**24,
    "maxMessageSizeBytes": 48_000_000,
    "maxWriteBatchSize": 100_000,
    "minWireVersion": 0,
    "maxWireVersion": 21,
}
Command = dict[str, Any]


class MongoFaults(socketserver.ThreadingTCPServer):
    """Keeps what is inserted by ``_id``, the first of each, in ``documents``; ``commands`` are those that came.

    ``answers`` are given to the next inserts in turn, in place of carrying them out; one that is a function gets the
    command, with which it may still call ``insert``.
    """

    daemon_threads = True
    allow_reuse_address = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.url = f"mongodb://127.0.0.1:{self.server_address[1]}/usage?directConnection=true"
        self.documents: dict[str, Any] = {}
        self.commands: list[Command] = []
        self.answers: list[Command | Callable[[Command], Command]] = []
        self._thread = threading.Thread(target=self.serve_forever, args=(0.01,), daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.shutdown()
        self.server_close()
        self._thread.join(10)

    def insert(self, command: Command) -> Command:
        """Carry out an insert, and answer as MongoDB does."""
        errors = []
        for index, document in enumerate(command["documents"]):
            name = repr(document["_id"])
            if name in self.documents:
                text = f"E11000 duplicate key error collection: usage.usage_events index: _id_ dup key: {name}"
                errors.append({"index": index, "code": 11000, "keyPattern": {"_id": 1}, "errmsg": text})
            self.documents.setdefault(name, document)
        answer: Command = {"ok": 1.0, "n": len(command["documents"]) - len(errors)}
        return answer | ({"writeErrors": errors} if errors else {})

    def answer(self, command: Command) -> Command:
        """Answer any command."""
        kind = next(iter(command))
        if kind in {"hello", "ismaster", "isMaster"}:
            return HELLO
        self.commands.append(command)
        if kind != "insert":
            return {"ok": 1.0}
        answer = self.answers.pop(0) if self.answers else self.insert
        return answer(command) if callable(answer) else answer


class _Handler(socketserver.StreamRequestHandler):
    server: MongoFaults

    def handle(self) -> None:
        while head := self.rfile.read(16):
            length, request, _, kind = struct.unpack("<iiii", head)
            body = self.rfile.read(length - 16)
            answer = self.server.answer(_command(body) if kind == OP_MSG else _query(body))
            if answer is DROP:
                return
            data = bson.encode(answer)
            text = struct.pack("<iB", 0, 0) + data if kind == OP_MSG else struct.pack("<iqii", 8, 0, 0, 1) + data
            reply = OP_MSG if kind == OP_MSG else OP_REPLY
            self.wfile.write(struct.pack("<iiii", 16 + len(text), 0, request, reply) + text)


def _query(body: bytes) -> Command:
    name_end = body.index(b"\0", 4)
    return bson.decode(body[name_end + 9 :])


def _command(body: bytes) -> Command:
    """The command of an OP_MSG, with the documents that came as a sequence beside it."""
    command: Command = {}
    at = 4
    while at < len(body):
        kind, at = body[at], at + 1
        (size,) = struct.unpack_from("<i", body, at)
        if kind == 0:
            command = bson.decode(body[at : at + size]) | command
        else:
            name_end = body.index(b"\0", at + 4)
            command[body[at + 4 : name_end].decode()] = bson.decode_all(body[name_end + 1 : at + size])
        at += size
    order = {name: command.pop(name) for name in ("insert", "hello", "ping", "createIndexes") if name in command}
    return order | command
