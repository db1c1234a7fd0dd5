"""Errors as problem details (RFC 9457): the only place that maps the error tree to HTTP."""

from __future__ import annotations

import logging
import math
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

import msgspec
from litestar import Response
from litestar.exceptions import HTTPException

from tollkeeper.errors import (
    AuthenticationError,
    ConflictError,
    InvalidRequestError,
    LimitExceededError,
    NotFoundError,
    PermissionDeniedError,
    PreconditionFailedError,
    StoreError,
    TollkeeperError,
    TooLargeError,
    UnprocessableError,
)

if TYPE_CHECKING:
    from litestar import Request

    from tollkeeper.events.lease import Denial

__all__ = ["PROBLEM_JSON", "Problem", "answer_problem", "denial_problem", "problem_for"]

PROBLEM_JSON = "application/problem+json"
STATUS: tuple[tuple[type[TollkeeperError], HTTPStatus], ...] = (
    (TooLargeError, HTTPStatus.REQUEST_ENTITY_TOO_LARGE),
    (UnprocessableError, HTTPStatus.UNPROCESSABLE_ENTITY),
    (InvalidRequestError, HTTPStatus.BAD_REQUEST),
    (AuthenticationError, HTTPStatus.UNAUTHORIZED),
    (PermissionDeniedError, HTTPStatus.FORBIDDEN),
    (NotFoundError, HTTPStatus.NOT_FOUND),
    (ConflictError, HTTPStatus.CONFLICT),
    (PreconditionFailedError, HTTPStatus.PRECONDITION_FAILED),
    (LimitExceededError, HTTPStatus.TOO_MANY_REQUESTS),
    (StoreError, HTTPStatus.SERVICE_UNAVAILABLE),
)
BY_CODE = {
    "unsupported_media_type": HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
}
RETRY_AFTER_SECONDS = 1
log = logging.getLogger("tollkeeper")


class Problem(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A problem document: ``code`` is for programs and stable, ``detail`` says to a person what to do.

    ``retry_after`` is in how many seconds it may be otherwise, where that is known.
    """

    title: str
    status: int
    code: str
    detail: str
    retry_after: int | None = None

    @property
    def headers(self) -> dict[str, str]:
        """What HTTP wants beside the document: how to authenticate, when to come again."""
        headers = {"content-type": PROBLEM_JSON, "cache-control": "no-store"}
        if self.status == HTTPStatus.UNAUTHORIZED:
            headers["www-authenticate"] = 'Bearer realm="tollkeeper"'
        if self.retry_after is not None:
            headers["retry-after"] = str(self.retry_after)
        return headers


def problem_for(error: Exception) -> Problem:
    """The problem document of an error; one that nobody foresaw is logged, and says nothing of our insides."""
    if isinstance(error, TollkeeperError):
        fallback = HTTPStatus.INTERNAL_SERVER_ERROR
        status = next((status for kind, status in STATUS if isinstance(error, kind)), fallback)
        status = BY_CODE.get(error.code, status)
        return _problem(status, error.code, error.detail, getattr(error, "retry_after", None))
    if isinstance(error, HTTPException):
        status = HTTPStatus(error.status_code)
        code = status.phrase.lower().replace(" ", "_")
        return _problem(status, code, _detail(error))
    if isinstance(error, RecursionError):  # by JSON alone: nothing of ours goes deep
        return _problem(HTTPStatus.BAD_REQUEST, "invalid_request", "The request is nested too deep: send it flatter.")
    log.error("A request failed.", exc_info=error)
    detail = "Something went wrong on our side: the server's log has the cause."
    return _problem(HTTPStatus.INTERNAL_SERVER_ERROR, "internal", detail)


def denial_problem(denial: Denial) -> Problem:
    """The problem document of a call that the gate refuses."""
    return _problem(HTTPStatus(denial.status), denial.code, denial.detail, denial.retry_after)


def answer_problem(_request: Request[Any, Any, Any], error: Exception) -> Response[bytes]:
    """Litestar's exception handler for the API."""
    problem = problem_for(error)
    told = error.headers if isinstance(error, HTTPException) else None
    allowed = {name.lower(): value for name, value in (told or {}).items() if name.lower() == "allow"}
    return Response(msgspec.json.encode(problem), status_code=problem.status, headers=problem.headers | allowed)


def _problem(status: HTTPStatus, code: str, detail: str, retry_after: float | None = None) -> Problem:
    """Whole seconds, never too few; what cannot be answered just now may be asked again soon."""
    if retry_after is None and status == HTTPStatus.SERVICE_UNAVAILABLE:
        retry_after = RETRY_AFTER_SECONDS
    seconds = None if retry_after is None else max(math.ceil(retry_after), 1)
    return Problem(title=status.phrase, status=status, code=code, detail=detail, retry_after=seconds)


def _detail(error: HTTPException) -> str:
    extra = error.extra if isinstance(error.extra, list) else []
    reasons = [f"{item.get('key', 'request')}: {item.get('message', '')}" for item in extra if isinstance(item, dict)]
    return "; ".join([error.detail, *reasons])
