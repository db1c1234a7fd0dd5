"""The answer to a call that may not be made, and what others are told of their limits."""

from __future__ import annotations

import math
from http import HTTPStatus
from typing import TYPE_CHECKING

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from tollkeeper.events.limit_headers import limit_headers

if TYPE_CHECKING:
    from tollkeeper.events.lease import Denial
    from tollkeeper.leases.lease import Verdict

__all__ = ["Refusal", "refuse", "told_limits"]

PROBLEM_JSON = "application/problem+json"


class Refusal(Struct, frozen=True):
    """An answer as any protocol can give it; the names of headers are as they are written down in HTTP/1.1."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes

    @property
    def line(self) -> str:
        """The status as WSGI has it."""
        return f"{self.status} {_phrase(self.status)}"


class _Problem(Struct, frozen=True, kw_only=True, omit_defaults=True):
    title: str
    status: int
    code: str
    detail: str
    retry_after: int | None = None


def refuse(denial: Denial, verdict: Verdict) -> Refusal:
    """The problem document (RFC 9457) that says why."""
    wait = None if denial.retry_after is None else max(math.ceil(denial.retry_after), 1)
    body = msgspec.json.encode(
        _Problem(
            title=_phrase(denial.status), status=denial.status, code=denial.code, detail=denial.detail, retry_after=wait
        )
    )
    headers = [
        ("Content-Type", PROBLEM_JSON),
        ("Content-Length", str(len(body))),
        ("Cache-Control", "no-store"),
        *told_limits(verdict),
    ]
    if denial.status == HTTPStatus.UNAUTHORIZED:
        headers.append(("WWW-Authenticate", "Bearer"))
    if wait is not None:
        headers.append(("Retry-After", str(wait)))
    return Refusal(denial.status, headers, body)


def told_limits(verdict: Verdict) -> list[tuple[str, str]]:
    """``RateLimit-Policy`` and ``RateLimit``: what the service said last, with what is left of the lease in hand."""
    limits = [replace(limit, remaining=limit.remaining + verdict.left) for limit in verdict.limits]
    spelled = {"ratelimit-policy": "RateLimit-Policy", "ratelimit": "RateLimit"}
    return [(spelled[name], value) for name, value in limit_headers(limits).items()]


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Refused"
