"""Identifiers that sort by time, so that an index of them grows at its end."""

from __future__ import annotations

import os
import time

__all__ = ["first_record_id", "id_from_hash", "new_id", "record_id", "record_time"]

DIGITS = "0123456789abcdefghjkmnpqrstvwxyz"
RECORD_DIGITS, BITS_A_DIGIT, NOISE_BYTES = 26, 5, 9


def new_id() -> str:
    """A new UUID version 7 (RFC 9562): milliseconds, then 74 random bits. Safe in threads and after a fork."""
    return _uuid(time.time_ns() // 1_000_000, int.from_bytes(os.urandom(10)), version=7)


def id_from_hash(time_us: int, digest: bytes) -> str:
    """The UUID version 8 of something that happened at ``time_us`` and hashes to ``digest`` (at least 10 bytes).

    The same input always gives the same id: what is imported twice is stored once.
    """
    return _uuid(time_us // 1_000, int.from_bytes(digest[:10]), version=8)


def record_id(prefix: str, *, behind: str = "") -> str:
    """A new public id as ``cus_0f2k…``: microseconds, then 72 random bits, in digits that sort alike everywhere.

    It sorts ``behind`` an older one of the same prefix, whatever the clock says.
    """
    new = _record(prefix, time.time_ns() // 1_000, int.from_bytes(os.urandom(NOISE_BYTES)))
    if new > behind:
        return new
    digits = behind.removeprefix(f"{prefix}_")
    return _record(
        prefix, 0, 1 + sum(DIGITS.index(digit) << BITS_A_DIGIT * place for place, digit in enumerate(reversed(digits)))
    )


def first_record_id(prefix: str, time_us: int) -> str:
    """What no id that is made at ``time_us`` or later sorts before."""
    return _record(prefix, time_us, 0)


def record_time(record: str) -> int:
    """When the id of a record was made, in microseconds since 1970."""
    value = 0
    for digit in record.rpartition("_")[2]:
        value = value << BITS_A_DIGIT | DIGITS.index(digit)
    return value >> 8 * NOISE_BYTES


def _record(prefix: str, time_us: int, noise: int) -> str:
    value = time_us << 8 * NOISE_BYTES | noise
    places = range((RECORD_DIGITS - 1) * BITS_A_DIGIT, -1, -BITS_A_DIGIT)
    return f"{prefix}_{''.join(DIGITS[value >> place & len(DIGITS) - 1] for place in places)}"


def _uuid(milliseconds: int, noise: int, *, version: int) -> str:
    value = (milliseconds & 0xFFFF_FFFF_FFFF) << 80 | noise
    value = value & ~(0xF << 76) | version << 76
    digits = f"{value & ~(0x3 << 62) | 0x2 << 62:032x}"  # not by uuid.UUID, which takes three times as long
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"
