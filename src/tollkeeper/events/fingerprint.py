"""What stands for a secret in events: the same for the same secret, and no way back to it."""

from __future__ import annotations

from hashlib import sha256

__all__ = ["fingerprint"]

PREFIX = "key_"
HEX_DIGITS = 32


def fingerprint(secret: str) -> str:
    """The first 128 bits of the SHA-256 of a credential: two of a billion keys share one by a chance of 10**-21.

    Billing looks the customer up by it, so the text must stay what it is: ``key_`` and 32 hexadecimal digits.
    """
    return PREFIX + sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()[:HEX_DIGITS]
