"""Append events to a file of JSON lines, and begin a new one when it is full."""

from __future__ import annotations

import os
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import unquote, urlsplit

import msgspec

from tollkeeper.errors import ConfigurationError, SinkError
from tollkeeper.forks import ForkLock
from tollkeeper.sinks.rejections import Rejections

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from tollkeeper.events.event import UsageEvent

fcntl: Any
try:
    import fcntl
except ImportError:  # Windows
    fcntl = None

__all__ = ["JSONLinesSink"]

URL = "jsonl:///relative.jsonl or jsonl:////absolute.jsonl"
WAIT_SECONDS, POLL_SECONDS = 5.0, 0.005
FLAGS = os.O_RDWR | os.O_APPEND | os.O_CREAT | getattr(os, "O_CLOEXEC", 0)

_encode = msgspec.json.Encoder().encode


class JSONLinesSink:
    """Writes each batch to the end of the file at ``path``, and waits until the disk has it.

    A file that would grow over ``max_bytes`` becomes ``path.1``, the one before ``path.2``, and so on; ``keep`` of them
    stay, older ones are deleted. ``max_bytes=0`` never begins a new one; then another program may move the file away.
    Any number of processes may write the same file. A file cannot tell what it has: a batch that is sent again, because
    the process died before it knew that it was written, is there twice, with the same ``id``.

    Raises ConfigurationError where there is no ``flock``.
    """

    def __init__(self, path: str | os.PathLike[str], *, max_bytes: int = 100 * 2**20, keep: int = 9) -> None:
        if fcntl is None:
            raise ConfigurationError(
                "JSON lines need flock, which this platform does not have: use sqlite:///usage.db."
            )
        if max_bytes < 0 or keep < 0:
            raise ConfigurationError("max_bytes and keep must not be negative.")
        self._path = Path(os.path.abspath(path))  # noqa: PTH100 - a later chdir must not move it; Path.absolute keeps ".."
        self._max_bytes = max_bytes
        self._keep = keep
        self._rejections = Rejections(str(self._path))
        self._lock = ForkLock()  # no file is open while the process forks: parent and child would share the lock on it

    @classmethod
    def from_url(cls, url: str) -> Self:
        """Make it from ``jsonl:///relative.jsonl`` or ``jsonl:////absolute.jsonl``.

        Raises:
            ConfigurationError: the URL is of another form.
        """
        parts = urlsplit(url)
        if parts.scheme != "jsonl" or parts.netloc or len(parts.path) < 2 or parts.query:  # noqa: PLR2004 - a slash and a name
            raise ConfigurationError(f"The URL of a JSON lines sink must look like {URL}.")
        return cls(unquote(parts.path[1:]))

    def send(self, events: Sequence[UsageEvent]) -> None:
        """Append a batch: all of it, or nothing when that fails.

        Raises:
            SinkError: the file cannot be written, or others have kept it locked for 5 seconds; to be retried.
        """
        data, unwritable = _lines(events)
        if data:
            self._write(data)
        for why in unwritable:
            self._rejections.add(1, why)

    @property
    def rejected(self) -> int:
        """Events that are no JSON, since this sink was made."""
        return self._rejections.count

    def close(self) -> None:
        """Do nothing: the file is open only while a batch is written."""

    def _write(self, data: bytes) -> None:
        with self._lock:
            try:
                with self._locked() as fd:
                    if not self._is_full(fd, len(data)):
                        self._append(fd, data)
                        return
                    self._rotate()
                with self._locked() as fd:  # another process may have filled the new one: then it grows over the limit
                    self._append(fd, data)
            except OSError as error:
                raise SinkError(f"Cannot write {self._path}: {error}. Check path, rights and space.") from error

    @contextmanager
    def _locked(self) -> Iterator[int]:
        until = time.monotonic() + WAIT_SECONDS
        while True:
            new = not os.path.lexists(self._path)
            fd = os.open(self._path, FLAGS, 0o600)
            try:
                if self._lock_file(fd, until):
                    if new:
                        self._sync_folder()
                    try:
                        yield fd
                    finally:
                        fcntl.flock(fd, fcntl.LOCK_UN)
                    return
            finally:
                os.close(fd)

    def _lock_file(self, fd: int, until: float) -> bool:
        """Lock the file; False when it is not the one at ``path`` any more: another process began a new one."""
        while True:
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > until:
                    raise
                time.sleep(POLL_SECONDS)
        try:
            return os.path.samestat(os.fstat(fd), self._path.stat())
        except FileNotFoundError:
            return False

    def _is_full(self, fd: int, more: int) -> bool:
        size = os.fstat(fd).st_size
        return bool(self._max_bytes and size and size + more > self._max_bytes)

    def _append(self, fd: int, data: bytes) -> None:
        start = os.fstat(fd).st_size
        if start and os.pread(fd, 1, start - 1) != b"\n":  # whoever wrote last died in the middle of a line
            data = b"\n" + data
        try:
            view = memoryview(data)
            while view:
                view = view[os.write(fd, view) :]
            os.fsync(fd)
        except BaseException:
            with suppress(OSError):
                os.ftruncate(fd, start)  # it is sent again
            raise

    def _rotate(self) -> None:
        """Move the files on by one, under the lock of the newest: nobody else does so until it has moved itself."""
        if not self._keep:
            self._path.unlink()
        for number in range(self._keep, 0, -1):
            newer = self._numbered(number - 1) if number > 1 else self._path
            with suppress(FileNotFoundError):
                newer.replace(self._numbered(number))
        self._sync_folder()

    def _numbered(self, number: int) -> Path:
        return self._path.with_name(f"{self._path.name}.{number}")

    def _sync_folder(self) -> None:
        folder = os.open(self._path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def _lines(events: Iterable[UsageEvent]) -> tuple[bytes, list[str]]:
    """The lines, each with its end, and why some events have none."""
    lines = []
    unwritable = []
    for event in events:
        try:
            line = _encode(event)
        except (ValueError, msgspec.MsgspecError) as error:  # as text with half of a character
            unwritable.append(type(error).__name__)
            continue
        # Between the tokens of JSON that came from elsewhere there may be line breaks; within them there are none.
        lines.append(line.replace(b"\n", b" ").replace(b"\r", b" ") + b"\n")
    return b"".join(lines), unwritable
