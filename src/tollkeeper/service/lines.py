"""Read files line by line, whatever they are: plain or gzip, in any encoding, with lines of any length, or a pipe."""

from __future__ import annotations

import gzip
import io
import os
import stat
import sys
import zlib
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from tollkeeper.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

__all__ = ["STDIN", "check_readable", "open_lines", "total_bytes"]

STDIN = "-"
GZIP_MAGIC = b"\x1f\x8b"
MAX_LINE = 64 * 1024
BUFFER = 256 * 1024


def check_readable(files: Sequence[str]) -> None:
    """Raise ConfigurationError for the first file that cannot be opened; pipes are left untouched."""
    for file in files:
        if file == STDIN:
            continue
        try:
            if stat.S_ISFIFO(Path(file).stat().st_mode):
                continue
            with Path(file).open("rb"):
                pass
        except OSError as error:
            raise ConfigurationError(
                f"Cannot open {file}: {error.strerror}. Nothing was imported: correct the name, or leave it out."
            ) from None


def total_bytes(files: Sequence[str]) -> int | None:
    """The bytes that reading all files will take from the disk; None when one of them is a pipe."""
    if STDIN in files or not all(Path(file).is_file() for file in files):
        return None
    return sum(Path(file).stat().st_size for file in files)


def open_lines(file: str, count: Callable[[int], object]) -> Iterator[tuple[int, str | ValueError]]:
    r"""Yield the number of each line, from 1, and its text without its end; ``-`` is the standard input.

    Gzip is known by its first bytes. Bytes that are not UTF-8 are written as ``\xff``. A line that cannot be had is a
    ValueError in its place: it is over 65,536 bytes, or the file is damaged from there on. ``count`` is told the bytes
    that were taken from the disk.
    """
    with _open(file) as source, io.BufferedReader(_Counted(source, count), BUFFER) as raw:
        zipped = raw.peek(2)[:2] == GZIP_MAGIC
        stream: IO[bytes] = io.BufferedReader(gzip.GzipFile(fileobj=raw), BUFFER) if zipped else raw
        number = 0
        while True:
            number += 1
            try:
                line = _read_line(stream)
            except (OSError, EOFError, zlib.error) as error:
                yield number, ValueError(f"the file cannot be read from here on: {error}")
                return
            if line is None:
                return
            yield number, line


def _read_line(stream: IO[bytes]) -> str | ValueError | None:
    line = stream.readline(MAX_LINE + 1)
    if not line:
        return None
    if len(line) > MAX_LINE and not line.endswith(b"\n"):
        while (rest := stream.readline(MAX_LINE)) and not rest.endswith(b"\n"):
            pass
        return ValueError(f"it is longer than {MAX_LINE} bytes")
    return line.decode("utf-8", "backslashreplace").rstrip("\r\n")


def _open(file: str) -> IO[bytes]:
    return os.fdopen(os.dup(sys.stdin.fileno()), "rb", buffering=0) if file == STDIN else Path(file).open("rb", 0)


class _Counted(io.RawIOBase):
    """A raw stream that tells how much was read of it."""

    def __init__(self, source: IO[bytes], count: Callable[[int], object]) -> None:
        self._source = source
        self._count = count

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        data = self._source.read(len(buffer))
        buffer[: len(data)] = data
        self._count(len(data))
        return len(data)
