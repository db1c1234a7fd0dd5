"""What a person sees when a page cannot be shown."""

from __future__ import annotations

import logging
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from litestar.exceptions import HTTPException

from tollkeeper.dashboard.security import secure
from tollkeeper.errors import (
    AuthenticationError,
    ConflictError,
    InvalidRequestError,
    NotFoundError,
    PermissionDeniedError,
    StoreError,
    TollkeeperError,
    UnprocessableError,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from litestar import Request, Response

    from tollkeeper.dashboard.pages import Pages

__all__ = ["error_handlers", "status_of"]

logger = logging.getLogger("tollkeeper.dashboard")
STATUS: dict[type[TollkeeperError], int] = {
    UnprocessableError: 422,
    InvalidRequestError: 400,
    AuthenticationError: 401,
    PermissionDeniedError: 403,
    NotFoundError: 404,
    ConflictError: 409,
    StoreError: 503,
}
UNKNOWN = "Something went wrong on our side; the log of the service has the details. Try again in a moment."


def error_handlers(pages: Pages) -> dict[int | type[Exception], Callable[..., Response[Any]]]:
    """Make the handlers that turn an exception into a page: the login for 401, else one that says what to do."""

    def show(request: Request[Any, Any, Any], error: Exception) -> Response[Any]:
        status = status_of(error)
        if status == HTTPStatus.UNAUTHORIZED:
            return secure(_login(pages, request))
        if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            route = request.scope.get("path_template", "")  # not the path: that of a login link is a secret
            logger.error("%s %s failed", request.method, route, exc_info=error)
        known = isinstance(error, TollkeeperError | HTTPException)
        detail = error.detail if known and status != HTTPStatus.INTERNAL_SERVER_ERROR else UNKNOWN  # type: ignore[attr-defined]  # known has it
        title = HTTPStatus(status).phrase
        return secure(pages.render(request, "error.html", status=status, title=title, code=status, detail=detail))

    return {TollkeeperError: show, HTTPException: show, Exception: show}


def status_of(error: Exception) -> int:
    """The status that a page answers with that tells of an error."""
    if isinstance(error, HTTPException):
        return error.status_code
    return next((status for kind, status in STATUS.items() if isinstance(error, kind)), 500)


def _login(pages: Pages, request: Request[Any, Any, Any]) -> Response[bytes]:
    """Ask who is there and come back to this page; a fragment that htmx asked for makes it reload the whole page."""
    query = request.url.query
    target = request.scope["path"] + (f"?{query}" if query else "") if request.method == "GET" else "/"
    response = pages.render(request, "login.html", status=401, next=target, problem=None)
    if request.headers.get("hx-request"):
        response.headers["HX-Refresh"] = "true"
    return response
