"""Secrets in addresses: which names betray one, and what is written in its place."""

from __future__ import annotations

import re
from functools import lru_cache
from urllib.parse import unquote_plus

__all__ = ["REDACTED", "is_sensitive", "redact_query", "redact_url"]

REDACTED = "[REDACTED]"

# A name is sensitive when, written in lower case without separators, it contains one of these …
PARTS = re.compile(
    r"accesskey|apikey|authorization|authkey|bearer|cardnumber|cardno|ccnumber|cookie|creditcard|"
    r"credential|cvv|csrf|encryptionkey|jwt|masterkey|passcode|passphrase|passwd|password|privatekey|pwd|"
    r"secret|securitycode|session|signature|signingkey|socialsecurity|token|xsrf"
)
# … or when one of its words is one of these, too short to be looked for inside other words (className, author).
WORDS = frozenset({"auth", "cvc", "cvn", "otp", "pan", "pass", "pin", "sid", "sig", "ssn", "tfn"})
SEPARATOR = re.compile(r"[\W_]+")
WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[^\W\d_]+")
BOUNDARY = re.compile(r"([&;#])")
USERINFO = re.compile(r"(?<=//)[^/?#@\s]*@")


@lru_cache(maxsize=4096)
def is_sensitive(name: str) -> bool:
    """Tell whether values under this name are secrets; ``X-Api-Key``, ``api_key`` and ``apikey`` are one name."""
    if PARTS.search(SEPARATOR.sub("", name).lower()):
        return True
    return any(word.lower() in WORDS for word in WORD.findall(name))


def redact_query(query: str) -> str:
    """Replace the values of sensitive names in ``a=1&token=2``; everything else stays as it was written."""
    return "".join(map(_redact_parameter, BOUNDARY.split(query)))


def redact_url(url: str) -> str:
    """Take the secrets out of a whole or relative URL: user and password, path parameters, query and fragment."""
    if "=" in url:
        path, mark, query = url.partition("?")
        url = redact_query(path) + mark + redact_query(query)
    return USERINFO.sub("", url) if "@" in url else url


def _redact_parameter(part: str) -> str:
    name, _, value = part.partition("=")
    return f"{name}={REDACTED}" if value and is_sensitive(unquote_plus(name)) else part
