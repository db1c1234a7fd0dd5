"""``VerifyWebhook``: the signature of what ReadMe sends."""

from __future__ import annotations

import hashlib
import hmac
import json
import time
from typing import TYPE_CHECKING, Any

import pytest

from tollkeeper.compat.readme_metrics import VerifyWebhook
from tollkeeper.compat.readme_metrics.webhook import VerificationError

if TYPE_CHECKING:
    from collections.abc import Callable

SECRET = "docs-secret"
BODY = {"email": "owlbert@example.com", "plan": "Größe"}


def signature(age: float = 0, *, body: dict[str, Any] = BODY, secret: str = SECRET, ascii_only: bool = True) -> str:
    moment = int((time.time() - age) * 1000)
    text = f"{moment}.{json.dumps(body, separators=(',', ':'), ensure_ascii=ascii_only)}"
    return f"t={moment},v0={hmac.new(secret.encode(), text.encode(), hashlib.sha256).hexdigest()}"


@pytest.mark.parametrize("ascii_only", [True, False])
def test_what_readme_signed_is_believed_for_half_an_hour(*, ascii_only: bool) -> None:
    VerifyWebhook(BODY, signature(ascii_only=ascii_only), SECRET)
    VerifyWebhook(BODY, signature(29 * 60, ascii_only=ascii_only).replace(",", ", "), SECRET)


WRONG = {
    "none": (lambda: None, "Missing Signature"),
    "empty": (lambda: "", "Missing Signature"),
    "old": (lambda: signature(31 * 60), "Expired Signature"),
    "other body": (lambda: signature(body={}), "Invalid Signature"),
    "other secret": (lambda: signature(secret="other"), "Invalid Signature"),
    "no hash": (lambda: signature().partition(",")[0], "Invalid Signature"),
    "no time": (lambda: "v0=abc", "Invalid Signature"),
    "no number": (lambda: "t=soon,v0=abc", "Invalid Signature"),
    "nonsense": (lambda: "nonsense", "Invalid Signature"),
    "not ASCII": (lambda: signature().partition(",")[0] + ",v0=\u00e9", "Invalid Signature"),
}


@pytest.mark.parametrize(("make", "message"), WRONG.values(), ids=WRONG)
def test_anything_else_is_not(make: Callable[[], str | None], message: str) -> None:
    with pytest.raises(VerificationError, match=f"^{message}$"):
        VerifyWebhook(BODY, make(), SECRET)
