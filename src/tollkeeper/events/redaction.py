"""Secrets in names and addresses: which names betray one, and what is written in its place."""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache
from typing import TYPE_CHECKING
from urllib.parse import unquote_plus

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["REDACTED", "is_sensitive", "redact_url"]

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
WITHIN = re.compile(r"([;?#])")
USERINFO = re.compile(r"(?<=//)[^/?#]*@")


def is_sensitive(name: str) -> bool:
    """Tell whether values under this name are secrets; ``X-Api-Key``, ``api_key`` and ``apikey`` are one name."""
    plain = unicodedata.normalize("NFKC", name)
    if PARTS.search(SEPARATOR.sub("", plain).lower()):
        return True
    return any(word.lower() in WORDS for word in WORD.findall(plain))


_remembered = lru_cache(maxsize=4096)(is_sensitive)


def redact_url(url: str, sensitive: Callable[[str], bool] = _remembered) -> str:
    """Take user, password and the values of sensitive parameters out of a URL, a path or a query string.

    Only ``&`` surely ends a value: what follows a sensitive name up to there is hidden, ``;``, ``?`` and ``#`` too.
    """
    if "@" in url:
        url = USERINFO.sub("", url)
    return "&".join([_redact_parameter(part, sensitive) for part in url.split("&")]) if "=" in url else url


def _redact_parameter(part: str, sensitive: Callable[[str], bool]) -> str:
    pieces = WITHIN.split(part)
    for index in range(0, len(pieces), 2):
        name, equals, _ = pieces[index].partition("=")
        if equals and sensitive(unquote_plus(name)):
            return f"{''.join(pieces[:index])}{name}={REDACTED}"
    return part
