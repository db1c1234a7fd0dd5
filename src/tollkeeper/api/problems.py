"""Errors as problem details (RFC 9457): the only place that maps the error tree to HTTP."""

from __future__ import annotations

import logging
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

import msgspec
from litestar import Response
from litestar.exceptions import HTTPException

from tollkeeper.errors import (
    AuthenticationError,
    InvalidRequestError,
    NotFoundError,
    PermissionDeniedError,
    StoreError,
    TollkeeperError,
    TooLargeError,
    UnprocessableError,
)

if TYPE_CHECKING:
    from litestar import Request

__all__ = ["PROBLEM_JSON", "Problem", "answer_problem", "problem_for"]

PROBLEM_JSON = "application/problem+json"
STATUS: tuple[tuple[type[TollkeeperError], HTTPStatus], ...] = (
    (TooLargeError, HTTPStatus.REQUEST_ENTITY_TOO_LARGE),
    (UnprocessableError, HTTPStatus.UNPROCESSABLE_ENTITY),
    (InvalidRequestError, HTTPStatus.BAD_REQUEST),
    (AuthenticationError, HTTPStatus.UNAUTHORIZED),
    (PermissionDeniedError, HTTPStatus.FORBIDDEN),
    (NotFoundError, HTTPStatus.NOT_FOUND),
    (StoreError, HTTPStatus.SERVICE_UNAVAILABLE),
)
BY_CODE = {
    "unsupported_media_type": HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
}
RETRY_AFTER_SECONDS = "1"
log = logging.getLogger("tollkeeper")


class Problem(msgspec.Struct, frozen=True, kw_only=True):
    """A problem document: ``code`` is for programs and stable, ``detail`` says to a person what to do."""

    title: str
    status: int
    code: str
    detail: str

    @property
    def headers(self) -> dict[str, str]:
        """What HTTP wants beside the document: how to authenticate, when to come again."""
        headers = {"content-type": PROBLEM_JSON, "cache-control": "no-store"}
        if self.status == HTTPStatus.UNAUTHORIZED:
            headers["www-authenticate"] = 'Bearer realm="tollkeeper"'
        if self.status == HTTPStatus.SERVICE_UNAVAILABLE:
            headers["retry-after"] = RETRY_AFTER_SECONDS
        return headers


def problem_for(error: Exception) -> Problem:
    """The problem document of an error; one that nobody foresaw is logged, and says nothing of our insides."""
    if isinstance(error, TollkeeperError):
        fallback = HTTPStatus.INTERNAL_SERVER_ERROR
        status = next((status for kind, status in STATUS if isinstance(error, kind)), fallback)
        status = BY_CODE.get(error.code, status)
        return Problem(title=status.phrase, status=status, code=error.code, detail=error.detail)
    if isinstance(error, HTTPException):
        status = HTTPStatus(error.status_code)
        code = status.phrase.lower().replace(" ", "_")
        return Problem(title=status.phrase, status=status, code=code, detail=_detail(error))
    log.error("A request failed.", exc_info=error)
    status = HTTPStatus.INTERNAL_SERVER_ERROR
    detail = "Something went wrong on our side: the server's log has the cause."
    return Problem(title=status.phrase, status=status, code="internal", detail=detail)


def answer_problem(_request: Request[Any, Any, Any], error: Exception) -> Response[bytes]:
    """Litestar's exception handler for the API."""
    problem = problem_for(error)
    return Response(msgspec.json.encode(problem), status_code=problem.status, headers=problem.headers)


def _detail(error: HTTPException) -> str:
    extra = error.extra if isinstance(error.extra, list) else []
    reasons = [f"{item.get('key', 'request')}: {item.get('message', '')}" for item in extra if isinstance(item, dict)]
    return "; ".join([error.detail, *reasons])
