"""The wire format of ReadMe Metrics: one request as a log, which wraps a HAR entry."""

from __future__ import annotations

import base64
import hashlib
import platform
from datetime import UTC, datetime
from functools import lru_cache
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from msgspec import Struct

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["LogRequest", "LogResponse", "make_log", "mask", "status_text"]

# The format is that of this version of ReadMe's own library, by whose name ReadMe knows it.
CREATOR, VERSION = "readme-metrics (python)", "3.4.0"
SHOWN_CHARS = 4

Pairs = list[tuple[str, str]]


class LogRequest(Struct, frozen=True, kw_only=True):
    """What a log tells of a request; ``url`` has its query, ``post`` is the HAR's ``postData``, None without a body."""

    method: str
    url: str
    http_version: str = "HTTP/1.1"
    headers: Pairs
    query: Pairs
    post: dict[str, Any] | None = None


class LogResponse(Struct, frozen=True, kw_only=True):
    """What a log tells of a response; ``size`` is that of its body in bytes, as announced or counted."""

    status: int
    reason: str
    headers: Pairs
    text: str
    size: int
    content_type: str


def make_log(  # one parameter for each part of a log
    identifier: str,
    group: dict[str, Any],
    address: str | None,
    *,
    development: bool,
    started: float,
    elapsed: float,
    request: LogRequest,
    response: LogResponse,
) -> dict[str, Any]:
    """Put a log together; ``started`` is POSIX, ``elapsed`` seconds, ``group`` masked already."""
    entry = {
        "pageref": request.url,
        "startedDateTime": _second(int(started)),
        "time": int(elapsed * 1000),
        "request": _request(request),
        "response": _response(response),
    }
    return {
        "_id": identifier,
        "group": group,
        "clientIPAddress": address,
        "development": development,
        "request": {"log": {"creator": _creator(), "entries": [entry]}},
    }


def mask(secret: str) -> str:
    """The SHA-512 of a secret, in base64, and the end of it, by which people know it again."""
    digest = base64.b64encode(hashlib.sha512(secret.encode("utf-8", "replace")).digest()).decode()
    return f"sha512-{digest}?{secret[-SHOWN_CHARS:]}"


def status_text(status: int) -> str:
    """The reason phrase of a status, in upper case; "" for one that has none."""
    try:
        return HTTPStatus(status).phrase.upper()
    except ValueError:
        return ""


def _request(request: LogRequest) -> dict[str, Any]:
    told = {
        "method": request.method,
        "url": request.url,
        "httpVersion": request.http_version,
        "headers": _named(request.headers),
        "headersSize": -1,
        "queryString": _named(request.query),
        "cookies": [],
        "bodySize": -1,
    }
    return told if request.post is None else {**told, "postData": request.post}


def _response(response: LogResponse) -> dict[str, Any]:
    return {
        "status": response.status,
        "statusText": response.reason,
        "headers": _named(response.headers),
        "headersSize": -1,
        "bodySize": response.size,
        "content": {"text": response.text, "size": response.size, "mimeType": response.content_type},
    }


def _named(pairs: Iterable[tuple[str, str]]) -> list[dict[str, str]]:
    return [{"name": name, "value": value} for name, value in pairs]


@lru_cache(maxsize=16)
def _second(moment: int) -> str:
    return datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


@lru_cache(maxsize=1)
def _creator() -> dict[str, str]:
    system = platform.uname()
    comment = f"{system.machine}-{system.system.lower()}{system.release}/{platform.python_version()}"
    return {"name": CREATOR, "version": VERSION, "comment": comment}
