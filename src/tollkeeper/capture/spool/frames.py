"""How a batch of events stands in a file, so that what is torn or damaged is found, and costs only itself."""

from __future__ import annotations

import os
import zlib
from struct import Struct as Layout
from typing import TYPE_CHECKING

from msgspec import Struct

from tollkeeper.events.codec import encode_batch

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tollkeeper.events.event import UsageEvent

__all__ = ["Frame", "Gap", "encode_frame", "mark_sent", "scan"]

MAGIC = b"\xffTK1"  # no UTF-8 holds the first byte: it never occurs in a payload
HEADER = Layout("<4sIIIB")  # magic, bytes of the payload, its events, CRC-32 of these three, mark
COUNTED = Layout("<II")
WAITING, SENT = 0, 0xA5
WINDOW = 2**20


class Frame(Struct, frozen=True, gc=False):
    """A batch that is intact, at ``[start, end)`` of its file: ``payload`` is a JSON array of ``count`` events."""

    start: int
    end: int
    count: int
    payload: bytes
    sent: bool


class Gap(Struct, frozen=True, gc=False):
    """Bytes ``[start, end)`` that hold no intact frame; ``torn`` when they are one that was not written to its end."""

    start: int
    end: int
    torn: bool


def encode_frame(events: Sequence[UsageEvent]) -> bytes:
    """Write a batch as one frame that waits."""
    payload = encode_batch(list(events))
    return HEADER.pack(MAGIC, len(payload), len(events), _checksum(len(events), payload), WAITING) + payload


def mark_sent(fd: int, start: int) -> None:
    """Note in the file that the frame at ``start`` was sent; raises OSError."""
    os.pwrite(fd, bytes([SENT]), start + HEADER.size - 1)


def scan(fd: int, start: int, end: int) -> Iterator[Frame | Gap]:
    """Read ``[start, end)`` frame by frame, going on behind whatever is damaged; raises OSError."""
    while start < end:
        piece: Frame | Gap | None = _read(fd, start, end)
        if piece is None:
            following = _find(fd, start + 1, end)
            piece = Gap(start, following, torn=following == end and _is_cut_off(fd, start, end))
        yield piece
        start = piece.end


def _checksum(count: int, payload: bytes) -> int:
    return zlib.crc32(payload, zlib.crc32(COUNTED.pack(len(payload), count)))


def _read(fd: int, start: int, end: int) -> Frame | None:
    header = os.pread(fd, min(HEADER.size, end - start), start)
    if len(header) < HEADER.size:
        return None
    magic, size, count, checksum, mark = HEADER.unpack(header)
    begin = start + HEADER.size
    if magic != MAGIC or size > end - begin:
        return None
    payload = os.pread(fd, size, begin)
    if len(payload) < size or _checksum(count, payload) != checksum:
        return None
    return Frame(start, begin + size, count, payload, mark == SENT)


def _find(fd: int, start: int, end: int) -> int:
    """Where the next intact frame starts, else ``end``."""
    while start < end:
        window = os.pread(fd, min(WINDOW, end - start), start)
        at = window.find(MAGIC)
        while at >= 0:
            if _read(fd, start + at, end) is not None:
                return start + at
            at = window.find(MAGIC, at + 1)
        if len(window) < len(MAGIC):
            break
        start += len(window) - len(MAGIC) + 1  # a magic may lie across two windows
    return end


def _is_cut_off(fd: int, start: int, end: int) -> bool:
    header = os.pread(fd, min(HEADER.size, end - start), start)
    if len(header) < HEADER.size:
        return MAGIC.startswith(header[: len(MAGIC)])
    magic, size, *_ = HEADER.unpack(header)
    return bool(magic == MAGIC and size > end - start - HEADER.size)
