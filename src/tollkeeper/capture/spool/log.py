"""The folder of a spool that one process writes: segments in order, read from the first one on until none is left."""

from __future__ import annotations

import re
from collections import deque
from contextlib import suppress
from typing import TYPE_CHECKING

from tollkeeper.capture.spool.segment import Segment

if TYPE_CHECKING:
    from pathlib import Path

    from tollkeeper.capture.spool.segment import Batch
    from tollkeeper.folders.files import Files

__all__ = ["Log"]

SEGMENT = re.compile(r"\d{8}\.spool")


class Log:
    """The segments in ``folder``, which this process has claimed as ``claim``; ``own`` when it also writes them.

    A segment that is done with is removed, and the one that is written is emptied; one that was damaged is kept beside
    the folder, as ``*.bad``. Not safe in threads.
    """

    def __init__(self, files: Files, folder: Path, claim: int, *, own: bool) -> None:
        self.own = own
        self.folder = folder
        self._files = files
        self._claim = claim
        self._segments: deque[Segment] = deque()
        self._written: Segment | None = None
        self._count = 0

    @property
    def first(self) -> Segment | None:
        """The segment that is read next; None when there is none."""
        return self._segments[0] if self._segments else None

    def take_over(self) -> int:
        """Look at what a process left here; gives the number of events that wait, or raises OSError."""
        for path in sorted(self.folder.iterdir()):
            if SEGMENT.fullmatch(path.name):
                segment = Segment(self._files, path, own=self.own)
                segment.inspect()
                self._segments.append(segment)
        return sum(segment.waiting for segment in self._segments)

    def append(self, frame: bytes, count: int, segment_bytes: int) -> None:
        """Write a frame of ``count`` events: durable on return, and not there when this raises OSError."""
        written = self._written
        if written is None or not written.takes(len(frame), segment_bytes):
            before, written = written, self._add()
            self._written = written
            if before is not None and not before.removed():
                before.release()
        written.append(frame, count)

    def seal(self) -> None:
        """Write no more: what is there is only read."""
        self._written = None

    def read(self, max_events: int, max_bytes: int) -> Batch | None:
        """Give what comes first, the same again until it is settled; None when nothing waits. Raises OSError."""
        segment = self.first
        if segment is None or (segment is self._written and segment.finished):
            return None
        return segment.read(max_events, max_bytes)

    def settle(self, batch: Batch) -> None:
        """Forget the batch that was read last."""
        segment = batch.segment
        segment.settle(batch)
        if not segment.finished:
            return
        if segment is self._written and not segment.damaged:
            segment.empty()
        else:
            self._remove(segment)

    def close(self) -> bool:
        """Let go; what waits is the next process's. Removes the folder when nothing is in it, and says so."""
        if self._written is not None and self._written.finished:
            self._remove(self._written)
        for segment in self._segments:
            segment.release()
        removed = False
        with suppress(OSError):
            self.folder.rmdir()
            removed = True
        self._files.close(self._claim)
        return removed

    def _add(self) -> Segment:
        self._count += 1
        segment = Segment(self._files, self.folder / f"{self._count:08}.spool", own=self.own)
        segment.create()
        try:
            self._files.sync_folder(self.folder)
        except OSError:
            segment.remove(segment.path)
            raise
        self._segments.append(segment)
        return segment

    def _remove(self, segment: Segment) -> None:
        self._segments.remove(segment)
        if segment is self._written:
            self._written = None
        segment.remove(self.folder.parent / f"{self.folder.name}-{segment.path.stem}.bad")
