"""A spool on disk: what was captured waits here until the sink has taken it, and outlives the process that wrote it."""

from __future__ import annotations

import os
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from tollkeeper.capture.spool.frames import encode_frame
from tollkeeper.capture.spool.log import Log
from tollkeeper.folders.files import Files
from tollkeeper.folders.folder import bytes_in, check_place, folders_in, new_folder
from tollkeeper.forks import call_at_fork

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tollkeeper.capture.spool.segment import Batch
    from tollkeeper.events.event import UsageEvent

__all__ = ["Spool"]

ADOPT_SECONDS = 5.0
MEASURE_SECONDS = 5.0


class Spool:
    """A folder in which each process writes a folder of its own; those of dead processes are adopted, one at a time.

    ``append`` may be called from any thread; ``adopt``, ``next_batch``, ``settle`` and ``close`` from one thread at a
    time. A child of a fork starts with nothing of its own: what its parent wrote is the parent's. ``max_bytes``
    limits all processes together, which may exceed it by what they write in a few seconds.

    Raises:
        ConfigurationError: this platform has no ``flock``, or ``path`` is no place for a folder.
    """

    def __init__(
        self, path: str | os.PathLike[str], *, max_bytes: int = 2**30, segment_bytes: int = 16 * 2**20
    ) -> None:
        self.path = Path(os.path.abspath(path))  # noqa: PTH100 - a later chdir must not move it
        self._max_bytes = max_bytes
        self._segment_bytes = segment_bytes
        self._files = Files()
        self._kept_out: set[str] = set()
        check_place(self.path)
        self._reset()
        call_at_fork(after_in_child=self._reset)

    def _reset(self) -> None:
        self._lock = threading.Lock()
        self._own: Log | None = None
        self._logs: list[Log] = []  # all that are read, in turn; own ones that were left behind too
        self._look_at = 0.0
        self._bytes = 0
        self._measure_at = 0.0

    def append(self, events: Sequence[UsageEvent]) -> bool:
        """Keep a batch, durable when this returns; False when the spool is full, and nothing of it was kept.

        Raises:
            OSError: it could not be written, and nothing of it was kept.
        """
        data = encode_frame(events)
        with self._lock:
            if not self._has_room(len(data)):
                return False
            log = self._log_of_process()
            try:
                log.append(data, len(events), self._segment_bytes)
            except FileNotFoundError:  # somebody removed the folder: what is still open of it is read all the same
                log.seal()
                self._own = None
                self._log_of_process().append(data, len(events), self._segment_bytes)
            self._bytes += len(data)
        return True

    def adopt(self) -> int:
        """Take over what a dead process left, unless what another left is still in hand; gives how many events wait.

        Raises:
            OSError: it cannot be looked at now.
        """
        if time.monotonic() < self._look_at or any(not log.own for log in self._logs):
            return 0
        self._look_at = time.monotonic() + ADOPT_SECONDS
        for folder in folders_in(self.path):
            claim = self._claim(folder)
            if claim is None:
                continue
            log = Log(self._files, folder, claim, own=False)
            try:
                waiting = log.take_over()
            except BaseException:
                self._files.close(claim)
                raise
            if log.first is None:
                self._leave(log)
                continue
            with self._lock:
                self._logs.append(log)
            self._look_at = 0.0  # there may be more
            return waiting
        return 0

    def next_batch(self, max_events: int, max_bytes: int, *, own: bool = False) -> Batch | None:
        """Give what to send next, the oldest of each log and the logs in turn; only of this process when ``own``.

        Raises:
            OSError: a file cannot be read now.
        """
        with self._lock:
            for log in list(self._logs):
                if log.own or not own:
                    self._logs.remove(log)
                    self._logs.append(log)
                    batch = log.read(max_events, max_bytes)
                    if batch is not None:
                        return batch
        return None

    def settle(self, batch: Batch) -> None:
        """Remove a batch for good: it was sent, or given up."""
        with self._lock:
            log = next(log for log in self._logs if log.first is batch.segment)
            log.settle(batch)
            if log.first is None and log is not self._own:
                self._logs.remove(log)
                self._leave(log)

    def close(self) -> None:
        """Leave what waits to the next process; a later ``append`` starts anew."""
        with self._lock:
            for log in self._logs:
                log.close()
            self._own = None
            self._logs = []

    def _has_room(self, size: int) -> bool:
        # To look at each file takes as many turns of Python's threads: too long to be done for each batch.
        now = time.monotonic()
        if now >= self._measure_at or self._bytes + size > self._max_bytes:
            self._bytes = bytes_in(self.path)
            self._measure_at = now + MEASURE_SECONDS
        return self._bytes + size <= self._max_bytes

    def _log_of_process(self) -> Log:
        if self._own is None:
            folder, claim = new_folder(self.path, self._files)
            self._own = Log(self._files, folder, claim, own=True)
            self._logs.append(self._own)
        return self._own

    def _claim(self, folder: Path) -> int | None:
        if folder.name not in self._kept_out:
            with suppress(OSError):  # another user's
                return self._files.claim(folder)
        return None

    def _leave(self, log: Log) -> None:
        if not log.close():
            self._kept_out.add(log.folder.name)  # what cannot be removed would be sent again and again
