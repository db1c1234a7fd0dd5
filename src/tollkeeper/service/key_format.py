"""What a key of ours looks like: ``tk_``, 256 random bits, and a checksum by which a slip of the pen is seen."""

from __future__ import annotations

import re
import secrets
import zlib

from tollkeeper.errors import UnprocessableError

__all__ = ["check_key", "new_key"]

DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
PREFIX = "tk_"
RANDOM_DIGITS, CHECK_DIGITS = 43, 6
OURS = re.compile(rf"{PREFIX}[0-9A-Za-z]{{{RANDOM_DIGITS + CHECK_DIGITS}}}")
PRINTABLE = re.compile(r"[!-~]{16,512}")


def new_key() -> str:
    """Make a key."""
    body = _base62(int.from_bytes(secrets.token_bytes(32)), RANDOM_DIGITS)
    return PREFIX + body + _checksum(body)


def check_key(key: str) -> str:
    """Refuse a key with a wrong checksum, or that no header could carry; raises UnprocessableError."""
    if not PRINTABLE.fullmatch(key):
        raise UnprocessableError("The key has other than 16 to 512 printable ASCII characters without spaces.")
    if OURS.fullmatch(key) and _checksum(key[len(PREFIX) : -CHECK_DIGITS]) != key[-CHECK_DIGITS:]:
        raise UnprocessableError("The key has a wrong checksum: it was copied wrong, or cut.")
    return key


def _checksum(body: str) -> str:
    return _base62(zlib.crc32(body.encode()), CHECK_DIGITS)


def _base62(number: int, width: int) -> str:
    digits = []
    for _ in range(width):
        number, digit = divmod(number, len(DIGITS))
        digits.append(DIGITS[digit])
    return "".join(reversed(digits))
