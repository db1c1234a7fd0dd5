"""Tell whether a webhook was sent by ReadMe, by its signature."""

from __future__ import annotations

import hashlib
import hmac
import json
import time
from typing import Any

__all__ = ["VerificationError", "VerifyWebhook"]

VALID_SECONDS = 30 * 60


class VerificationError(Exception):
    """The webhook is not to be believed; the message is ``Missing``, ``Expired`` or ``Invalid Signature``."""


class VerifyWebhook:
    """Checks ``body`` against the header ``readme-signature``, when it is made: ``t=MILLISECONDS,v0=HEX``.

    Raises:
        VerificationError: there is no signature, it is older than half an hour, or it is not that of ``secret``.
    """

    def __init__(self, body: dict[str, Any], signature: str | None, secret: str) -> None:
        if not signature:
            raise VerificationError("Missing Signature")
        fields = dict(part.strip().partition("=")[::2] for part in signature.split(","))
        moment, given = fields.get("t", "").strip(), fields.get("v0", "").strip()
        if not (moment.isascii() and moment.isdecimal()):
            raise VerificationError("Invalid Signature")
        if time.time() - float(moment) / 1000 > VALID_SECONDS:
            raise VerificationError("Expired Signature")
        # JSON may say what is not ASCII by escapes, or as it is: the sender's may be other than ours.
        ways = [_signature(moment, body, secret, ascii_only=ascii_only) for ascii_only in (True, False)]
        if not any(hmac.compare_digest(way.encode(), given.encode("utf-8", "replace")) for way in ways):
            raise VerificationError("Invalid Signature")


def _signature(moment: str, body: dict[str, Any], secret: str, *, ascii_only: bool) -> str:
    signed = f"{moment}.{json.dumps(body, separators=(',', ':'), ensure_ascii=ascii_only)}"
    return hmac.new(secret.encode("utf-8", "ignore"), signed.encode("utf-8", "replace"), hashlib.sha256).hexdigest()
