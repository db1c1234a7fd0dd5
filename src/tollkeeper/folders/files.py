"""The files that a spool has open, and the claim by which a process has a folder to itself, both safe in a fork."""

from __future__ import annotations

import os
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from tollkeeper.errors import ConfigurationError
from tollkeeper.forks import call_at_fork

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

fcntl: Any
try:
    import fcntl
except ImportError:  # Windows
    fcntl = None

__all__ = ["Files", "sync"]

FORK_WAIT_SECONDS = 1.0
FOLDER = os.O_RDONLY | getattr(os, "O_DIRECTORY", 0)
NOT_A_LINK = getattr(os, "O_NOFOLLOW", 0)

sync: Callable[[int], None] = getattr(os, "fdatasync", os.fsync)
"""Put what was written to a file on the disk, with its new size."""


class Files:
    """Opens and closes files; a child of a fork closes its copies of them, so that it never holds a parent's claim.

    No file is on its way in or out while the process forks: a child that closed a number which was free by then would
    close a file of the host. When that cannot be had in time, the child leaves its copies open. Safe in threads.

    Raises:
        ConfigurationError: this platform has no ``flock``.
    """

    def __init__(self) -> None:
        if fcntl is None:
            raise ConfigurationError("A spool needs flock, which this platform does not have: leave out 'spool'.")
        self._lock = threading.Lock()
        self._open: set[int] = set()
        self._forking_thread = 0
        call_at_fork(
            before=self._before_fork,
            after_in_parent=self._after_fork_in_parent,
            after_in_child=self._after_fork_in_child,
        )

    def open(self, path: Path, flags: int) -> int:
        """Open a file for this process alone, mode 0600 when it is new; raises OSError."""
        with self._lock:
            fd = os.open(path, flags, 0o600)
            self._open.add(fd)
        return fd

    def claim(self, folder: Path) -> int | None:
        """Open a folder and hold it until it is closed or this process dies; None when it is somebody else's, or gone.

        Raises:
            OSError: it cannot be opened, or its file system has no ``flock``.
        """
        with self._lock:
            fd = os.open(folder, FOLDER | NOT_A_LINK)
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                mine = _is_still(folder, os.fstat(fd))
            except BlockingIOError:
                mine = False
            except BaseException:
                os.close(fd)
                raise
            if mine:
                self._open.add(fd)
                return fd
            os.close(fd)
        return None

    def close(self, fd: int) -> None:
        """Close a file, and let go of the claim that it was; does nothing when a fork has closed it."""
        with self._lock, suppress(OSError):
            if fd in self._open:
                self._open.remove(fd)
                os.close(fd)

    def sync_folder(self, path: Path) -> None:
        """Put the names in a folder on the disk; raises OSError."""
        fd = self.open(path, FOLDER)
        try:
            os.fsync(fd)
        finally:
            self.close(fd)

    def _before_fork(self) -> None:
        if self._lock.acquire(timeout=FORK_WAIT_SECONDS):
            self._forking_thread = threading.get_ident()

    def _after_fork_in_parent(self) -> None:
        if self._forking_thread == threading.get_ident():
            self._forking_thread = 0
            self._lock.release()

    def _after_fork_in_child(self) -> None:
        # Closing a copy does not unlock the parent's; LOCK_UN would.
        if self._forking_thread == threading.get_ident():
            for fd in self._open:
                with suppress(OSError):
                    os.close(fd)
        self._forking_thread = 0
        self._lock = threading.Lock()
        self._open = set()


def _is_still(folder: Path, held: os.stat_result) -> bool:
    """Whether a folder that we hold by now is one of ours, and was not removed by whoever held it before."""
    try:
        return held.st_uid == os.geteuid() and os.path.samestat(held, folder.stat())
    except FileNotFoundError:
        return False
