"""Identifiers that sort by time, so that an index of them grows at its end."""

from __future__ import annotations

import os
import time
import uuid

__all__ = ["id_from_hash", "new_id"]


def new_id() -> str:
    """A new UUID version 7 (RFC 9562): milliseconds, then 74 random bits. Safe in threads and after a fork."""
    return _uuid(time.time_ns() // 1_000_000, int.from_bytes(os.urandom(10)), version=7)


def id_from_hash(time_us: int, digest: bytes) -> str:
    """The UUID version 8 of something that happened at ``time_us`` and hashes to ``digest`` (at least 10 bytes).

    The same input always gives the same id: what is imported twice is stored once.
    """
    return _uuid(time_us // 1_000, int.from_bytes(digest[:10]), version=8)


def _uuid(milliseconds: int, noise: int, *, version: int) -> str:
    value = (milliseconds & 0xFFFF_FFFF_FFFF) << 80 | noise
    value = value & ~(0xF << 76) | version << 76
    return str(uuid.UUID(int=value & ~(0x3 << 62) | 0x2 << 62))
