"""Sign what is sent, by the Standard Webhooks scheme, so that the receiver knows who sent it and when."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import time
from typing import TYPE_CHECKING

from tollkeeper.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from tollkeeper.events.event import UsageEvent

__all__ = ["SECRET_PREFIX", "Signer", "message_id"]

SECRET_PREFIX = "whsec_"  # noqa: S105 - what a secret begins with
KEY_BYTES = range(24, 65)


class Signer:
    """Signs with every secret, so that a receiver may know the old one or the new one while they are changed.

    Raises ConfigurationError for a secret that is not ``whsec_`` and the base64 of 24 to 64 bytes.
    """

    def __init__(self, secrets: Iterable[str]) -> None:
        self._keys = [_key(secret) for secret in secrets]

    def headers(self, identifier: str, body: bytes) -> dict[str, str]:
        """The three headers of a message that is sent now; none without a secret."""
        if not self._keys:
            return {}
        moment = str(int(time.time()))
        content = b".".join((identifier.encode(), moment.encode(), body))
        signatures = (base64.b64encode(hmac.digest(key, content, "sha256")).decode() for key in self._keys)
        return {
            "webhook-id": identifier,
            "webhook-timestamp": moment,
            "webhook-signature": " ".join(f"v1,{signature}" for signature in signatures),
        }


def message_id(events: Sequence[UsageEvent]) -> str:
    """Name a message by the events in it: the same events have the same name, however often they are sent."""
    named = hashlib.sha256()
    for event in events:
        for part in (event.source.encode(), event.id.encode()):
            named.update(len(part).to_bytes(4, "big") + part)
    return f"msg_{named.hexdigest()[:40]}"


def _key(secret: str) -> bytes:
    text = secret.removeprefix(SECRET_PREFIX)
    try:
        key = base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if len(key) not in KEY_BYTES:
        raise ConfigurationError(f"A secret to sign with must be {SECRET_PREFIX!r} and the base64 of 24 to 64 bytes.")
    return key
