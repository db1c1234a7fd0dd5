"""Who called: from what an app's ``identify`` returns, else from the credentials of the request."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping

from tollkeeper.events.event import Consumer
from tollkeeper.events.fingerprint import fingerprint

__all__ = ["as_consumer", "default_consumer"]

FIELDS = ("key", "label", "email", "group")
MAX_CHARS = 255


def default_consumer(api_key: str | None, authorization: str | None) -> Consumer | None:
    """The consumer behind an API key, a bearer token or a basic user; None when there is none of them.

    Its key is a fingerprint, the same for the same credential, from which the credential cannot be read.
    """
    secret = api_key or _credential(authorization or "")
    return Consumer(key=fingerprint(secret)) if secret else None


def as_consumer(value: object) -> Consumer | None:
    """Read what ``identify`` returned: None, a key, a mapping with ``key`` and the like, or a Consumer; texts are cut.

    Raises:
        TypeError: it is something else.
    """
    if value is None or value == "":
        return None
    if isinstance(value, str):
        return Consumer(key=_text(value))
    if isinstance(value, Consumer):
        fields = {name: getattr(value, name) for name in FIELDS}
    elif isinstance(value, Mapping):
        fields = {name: value.get(name) for name in FIELDS}
    else:
        raise TypeError(
            f"identify returned {type(value).__name__}: return None, a str, a dict with 'key' or a Consumer."
        )
    texts = {name: _text(field) for name, field in fields.items() if field is not None}
    if not texts.get("key"):
        raise TypeError("identify returned no 'key': return None when nobody is known.")
    return Consumer(**texts)


def _text(value: object) -> str:
    return str(value)[:MAX_CHARS].encode("utf-8", "replace").decode()


def _credential(authorization: str) -> str:
    scheme, _, rest = authorization.strip().partition(" ")
    rest = rest.strip()
    if scheme.lower() == "bearer":
        return rest
    if scheme.lower() != "basic":
        return ""
    try:
        return base64.b64decode(rest).decode("utf-8", "replace").partition(":")[0]
    except (binascii.Error, ValueError):
        return ""
