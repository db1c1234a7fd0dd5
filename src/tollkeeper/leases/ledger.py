"""What a process has used of its leases, on file: it is there when the process is killed between two instructions."""

from __future__ import annotations

import mmap
import os
from contextlib import suppress
from typing import TYPE_CHECKING

from tollkeeper.events.lease import Settle
from tollkeeper.folders.folder import folders_in, new_folder

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tollkeeper.folders.files import Files

__all__ = ["Ledger", "Left", "adopt"]

FILE = "leases"
SLOT, WORDS = 512, 64
"""Bytes and words of a slot: how long the id is (0: free), what was used, the id."""
ID_AT = 16
MAX_ID = 255
CHUNK = 64 * 1024
SLOTS = CHUNK // SLOT
MAX_CHUNKS = 1024


class Ledger:
    """The file of this process in a folder that processes share; not safe in threads.

    The folder in it is claimed as long as this process lives, whatever ends it. A word is written by one instruction,
    so that a number is never half of the old one.

    Raises:
        OSError: the disk, the rights or the file system do not allow it.
    """

    def __init__(self, path: Path, files: Files) -> None:
        self._files = files
        self.folder, self._claim = new_folder(path, files)
        self._file = files.open(self.folder / FILE, os.O_RDWR | os.O_CREAT | os.O_EXCL)
        self._chunks: list[mmap.mmap] = []
        self._free: list[tuple[memoryview, int]] = []

    def keep(self, lease: str) -> tuple[memoryview, int] | None:
        """Take a place for the use of a lease; None when there is none, or OSError is raised."""
        name = lease.encode()
        if len(name) > MAX_ID or (not self._free and not self._grow()):
            return None
        words, place = self._free.pop()
        raw = words.cast("B")
        start = (place - 1) * 8
        raw[start + ID_AT : start + ID_AT + len(name)] = name
        words[place] = 0
        words[place - 1] = len(name)  # last: from here on it counts
        return words, place

    def drop(self, words: memoryview, place: int) -> None:
        """Give a place back."""
        words[place - 1] = 0
        self._free.append((words, place))

    def close(self) -> None:
        """Let go: what is in it is the next process's to settle; removed when nothing is."""
        if len(self._free) == len(self._chunks) * SLOTS:
            with suppress(OSError):
                (self.folder / FILE).unlink()
                self.folder.rmdir()
        self._files.close(self._file)
        self._files.close(self._claim)

    def _grow(self) -> bool:
        size = len(self._chunks) * CHUNK
        if len(self._chunks) >= MAX_CHUNKS:
            return False
        if os.pwrite(self._file, bytes(CHUNK), size) < CHUNK:  # a hole that the disk cannot fill would kill the process
            raise OSError(f"{self.folder} has no room for a file of leases.")
        chunk = mmap.mmap(self._file, CHUNK, offset=size)
        self._chunks.append(chunk)
        words = memoryview(chunk).cast("Q")
        self._free += [(words, slot * WORDS + 1) for slot in reversed(range(SLOTS))]
        return True


class Left:
    """What a dead process left: the leases that it had not settled, in a folder that is claimed now."""

    def __init__(self, folder: Path, claim: int, files: Files) -> None:
        self._folder = folder
        self._claim = claim
        self._files = files
        self.settles: list[Settle] = []
        with suppress(OSError):
            self.settles += _read(folder / FILE)

    def settled(self) -> None:
        """Remove it, because the service knows all of it."""
        with suppress(OSError):
            (self._folder / FILE).unlink(missing_ok=True)
            self._folder.rmdir()
        self._files.close(self._claim)


def adopt(path: Path, files: Files, own: Ledger | None) -> Iterator[Left]:
    """Take over what dead processes left in a shared folder, one after the other; what is not ours stays."""
    for folder in folders_in(path):
        if own is not None and folder == own.folder:
            continue
        with suppress(OSError):
            claim = files.claim(folder)
            if claim is not None:
                yield Left(folder, claim, files)


def _read(path: Path) -> Iterator[Settle]:
    data = path.read_bytes() if path.exists() else b""
    for start in range(0, len(data) - SLOT + 1, SLOT):
        length, used = memoryview(data)[start : start + ID_AT].cast("Q")
        lease = data[start + ID_AT : start + ID_AT + min(length, SLOT)].decode("latin-1")
        # Of a damaged file, what the service could not read would spoil the request for all.
        if 0 < length <= MAX_ID and lease.isascii() and lease.isprintable():
            yield Settle(lease=lease, used=min(used, 2**63 - 1), release=True)
