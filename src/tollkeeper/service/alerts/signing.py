"""The secrets that sign webhooks: made, sealed at rest, rotated with overlap, and the signatures by them."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import secrets
from typing import TYPE_CHECKING

import msgspec
from msgspec import Struct

from tollkeeper.errors import UnprocessableError

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["SigningSecret", "make_secret", "open_sealed", "seal", "signature"]

PREFIX = "whsec_"
RANDOM_BYTES = 32
FEWEST_BYTES, MOST_BYTES = 24, 64
PURPOSE = b"tollkeeper alert channel"


class SigningSecret(Struct, frozen=True, omit_defaults=True):
    """A secret ``whsec_…``, which signs until a time (µs since 1970), or for good."""

    secret: str
    until: int | None = None

    def __repr__(self) -> str:
        return f"SigningSecret(until={self.until})"


def make_secret(given: str | None = None) -> str:
    """Make a secret, or check one that is brought along; raises UnprocessableError."""
    if given is None:
        return PREFIX + base64.b64encode(secrets.token_bytes(RANDOM_BYTES)).decode()
    try:
        size = len(_raw(given))
    except (ValueError, binascii.Error):
        size = 0
    if not given.startswith(PREFIX) or not FEWEST_BYTES <= size <= MOST_BYTES:
        raise UnprocessableError(
            f"The secret is not one of webhooks: give {PREFIX} and the Base64 of {FEWEST_BYTES} to {MOST_BYTES} random"
            " bytes, or leave it out."
        )
    return given


def seal(pepper: bytes, found: Sequence[SigningSecret]) -> tuple[bytes, bytes]:
    """Seal secrets with the pepper of a store; a new salt, and what they are under it."""
    salt = secrets.token_bytes(32)
    return salt, _under(pepper, salt, msgspec.json.encode(found))


def open_sealed(pepper: bytes, salt: bytes | None, sealed: bytes | None) -> list[SigningSecret]:
    """The secrets that were sealed; none when nothing was."""
    if salt is None or sealed is None:
        return []
    return msgspec.json.decode(_under(pepper, salt, sealed), type=list[SigningSecret])


def signature(found: Sequence[SigningSecret], message_id: str, timestamp: int, body: bytes) -> str:
    """What ``webhook-signature`` says: one v1 signature for each secret, as the Standard Webhooks have it."""
    signed = f"{message_id}.{timestamp}.".encode() + body
    macs = (hmac.digest(_raw(one.secret), signed, "sha256") for one in found)
    return " ".join(f"v1,{base64.b64encode(mac).decode()}" for mac in macs)


def _raw(secret: str) -> bytes:
    return base64.b64decode(secret.removeprefix(PREFIX), validate=True)


def _under(pepper: bytes, salt: bytes, data: bytes) -> bytes:
    """Seal, or open what was sealed: the salt is new each time, so no stream is used twice."""
    stream = hashlib.shake_256(salt + PURPOSE + pepper).digest(len(data))
    return (int.from_bytes(data) ^ int.from_bytes(stream)).to_bytes(len(data))
