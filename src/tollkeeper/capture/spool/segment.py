"""One file of a spool: frames are written at its end, read from its start, and marked when they were sent."""

from __future__ import annotations

import errno
import os
from contextlib import suppress
from typing import TYPE_CHECKING

from msgspec import Struct

from tollkeeper.capture.spool.frames import Frame, Gap, mark_sent, scan
from tollkeeper.errors import InvalidRequestError
from tollkeeper.events.codec import Limits, decode_batch
from tollkeeper.events.event import UsageEvent
from tollkeeper.folders.files import sync

if TYPE_CHECKING:
    from pathlib import Path

    from tollkeeper.folders.files import Files

__all__ = ["Batch", "Segment"]

PASSES = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EINTR, errno.EAGAIN})
ANY_SIZE = Limits(body_bytes=2**32, batch_events=2**32, event_bytes=2**32)


class Batch(Struct, frozen=True, eq=False, kw_only=True):
    """What is to be sent next; ``lost`` events and ``corrupt_bytes`` on the way to its ``end`` could not be read.

    ``own`` when this process captured it; ``frames`` is where its frames start.
    """

    segment: Segment
    own: bool
    end: int
    frames: list[int]
    events: list[UsageEvent]
    lost: int
    corrupt_bytes: int


class Segment:
    """Bytes ``[start, end)`` of a file are still to be read, and hold ``waiting`` events. Not safe in threads.

    A file that cannot be read is ``damaged``, unless the trouble is of a kind that passes: then OSError is raised.
    """

    def __init__(self, files: Files, path: Path, *, own: bool) -> None:
        self.path = path
        self.own = own
        self.start = self.end = self.waiting = 0
        self.damaged = False
        self._spoilt = False
        self._files = files
        self._fd: int | None = None

    @property
    def finished(self) -> bool:
        """Whether all of it has been read and settled."""
        return self.start == self.end

    def create(self) -> None:
        """Make the file; raises OSError."""
        self._fd = self._files.open(self.path, os.O_RDWR | os.O_CREAT | os.O_EXCL)

    def inspect(self) -> None:
        """Look at a file that another process wrote."""
        try:
            fd = self._open()
            self.end = os.fstat(fd).st_size
            pieces = scan(fd, 0, self.end)
            self.waiting = sum(piece.count for piece in pieces if isinstance(piece, Frame) and not piece.sent)
        except OSError as error:
            self._damage(error)
        finally:
            self.release()

    def takes(self, size: int, limit: int) -> bool:
        """Whether a frame of ``size`` bytes may be appended to it."""
        if self.damaged or self._spoilt or (self.end and self.end + size > limit):
            return False
        return not self.removed()

    def removed(self) -> bool:
        """Whether somebody took the file away; it can still be read as long as it is open."""
        return os.fstat(self._open()).st_nlink == 0

    def append(self, frame: bytes, count: int) -> None:
        """Write a frame of ``count`` events: durable on return, and not there when this raises OSError."""
        fd = self._open()
        try:
            written = 0
            while written < len(frame):
                written += os.pwrite(fd, frame[written:], self.end + written)
            sync(fd)
        except OSError:
            try:
                os.ftruncate(fd, self.end)
            except OSError:
                self._spoilt = True  # what stands behind its end is never read, as long as nothing follows
            raise
        self.end += len(frame)
        self.waiting += count

    def read(self, max_events: int, max_bytes: int) -> Batch:
        """Give what comes first, more than one frame if they fit; the same again until it is settled."""
        frames: list[Frame] = []
        end, corrupt, count, size = self.start, 0, 0, 0
        try:
            for piece in scan(self._open(), self.start, self.end):
                if isinstance(piece, Gap):
                    corrupt += piece.end - piece.start
                    self.damaged |= not piece.torn
                elif not piece.sent:
                    count += piece.count
                    size += len(piece.payload)
                    if frames and (count > max_events or size > max_bytes):
                        break
                    frames.append(piece)
                end = piece.end
        except OSError as error:
            self._damage(error)
            corrupt += self.end - end
            end = self.end
        events = [event for frame in frames for event in _decode(frame)]
        left = self.waiting if end == self.end else sum(frame.count for frame in frames)
        return Batch(
            segment=self,
            own=self.own,
            end=end,
            frames=[frame.start for frame in frames],
            events=events,
            lost=left - len(events),
            corrupt_bytes=corrupt,
        )

    def settle(self, batch: Batch) -> None:
        """Forget a batch, here and in the file, so that whoever comes after us does not read it again."""
        with suppress(OSError):
            for start in batch.frames:
                mark_sent(self._open(), start)
        self.start = batch.end
        self.waiting -= len(batch.events) + batch.lost
        self.damaged |= batch.lost > 0

    def empty(self) -> None:
        """Give back the space of what was settled, when that is all."""
        with suppress(OSError):
            os.ftruncate(self._open(), 0)
            self.start = self.end = 0

    def release(self) -> None:
        """Close the file; it is opened again when it is needed."""
        if self._fd is not None:
            self._files.close(self._fd)
            self._fd = None

    def remove(self, bad: Path) -> None:
        """Remove the file; one that is damaged is kept as ``bad`` instead."""
        self.release()
        with suppress(OSError):
            if self.damaged:
                self.path.rename(bad)
            else:
                self.path.unlink()

    def _open(self) -> int:
        if self._fd is None:
            self._fd = self._files.open(self.path, os.O_RDWR)
        return self._fd

    def _damage(self, error: OSError) -> None:
        if error.errno in PASSES:
            raise error
        self.damaged = True


def _decode(frame: Frame) -> list[UsageEvent]:
    try:
        return decode_batch(frame.payload, source="", limits=ANY_SIZE).events
    except InvalidRequestError:
        return []
