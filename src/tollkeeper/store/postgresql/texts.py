"""Any text of an event in a column of PostgreSQL, which holds every character but U+0000."""

from __future__ import annotations

from typing import TYPE_CHECKING

from psycopg.adapt import Loader
from psycopg.pq import Format
from psycopg.types.string import StrBinaryDumper, StrDumper, StrDumperUnknown

if TYPE_CHECKING:
    from psycopg import Connection
    from psycopg.abc import Buffer

__all__ = ["hold_any_text"]

NUL = "\0"
MARK = "\uffff"
"""A code point that is no character and stands in no real text; it marks what is written in another way."""


def hold_any_text(connection: Connection) -> None:
    """Let a connection write and read any text: U+0000 and the mark itself become two characters in the column."""
    for dumper in (_BinaryDumper, _TextDumper, _UnknownDumper):  # the last is the one for a plain str
        connection.adapters.register_dumper(str, dumper)
    for loader in (_TextLoader, _BinaryLoader):
        connection.adapters.register_loader("text", loader)


def _escape(text: str) -> str:
    if NUL in text or MARK in text:
        return text.replace(MARK, f"{MARK}1").replace(NUL, f"{MARK}0")
    return text


class _TextDumper(StrDumper):
    def dump(self, obj: str) -> Buffer | None:
        return super().dump(_escape(obj))


class _BinaryDumper(StrBinaryDumper):
    def dump(self, obj: str) -> Buffer | None:
        return super().dump(_escape(obj))


class _UnknownDumper(StrDumperUnknown):
    def dump(self, obj: str) -> Buffer | None:
        return super().dump(_escape(obj))


class _TextLoader(Loader):
    def load(self, data: Buffer) -> str:
        text = bytes(data).decode()
        return text.replace(f"{MARK}0", NUL).replace(f"{MARK}1", MARK) if MARK in text else text


class _BinaryLoader(_TextLoader):
    format = Format.BINARY
