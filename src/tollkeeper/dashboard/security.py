"""What guards the pages: who may see them, from where they may be written to, and what a browser may do with them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from litestar.datastructures import Cookie

from tollkeeper.dashboard.view import mount_prefix
from tollkeeper.errors import PermissionDeniedError
from tollkeeper.service.access import SESSION_COOKIE

if TYPE_CHECKING:
    from collections.abc import Callable

    from litestar import Request, Response
    from litestar.connection import ASGIConnection
    from litestar.handlers.base import BaseRouteHandler

    from tollkeeper.service.bootstrap import Service
    from tollkeeper.store.protocols import Token

__all__ = ["may_write", "refuse_foreign_writes", "secure", "session_cookie", "session_guard"]

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
HEADERS = {
    "Content-Security-Policy": (
        "default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'; object-src 'none'"
    ),
    "Cache-Control": "no-store",
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}


def secure(response: Response[Any]) -> Response[Any]:
    """Add the headers that every answer carries; one that is set already stays."""
    for name, value in HEADERS.items():
        response.headers.setdefault(name, value)
    return response


def session_guard(service: Service) -> Callable[[ASGIConnection[Any, Any, Any, Any], BaseRouteHandler], None]:
    """Make the guard that asks for a session, save where a handler is marked public; it is run in a thread.

    With ``opt={"writes": True}`` the session must be that of a token that may ``admin``. The token is left in the state
    of the connection.
    """

    def require_session(connection: ASGIConnection[Any, Any, Any, Any], handler: BaseRouteHandler) -> None:
        if handler.opt.get("public"):
            return
        token = service.access.check_session(connection.cookies.get(SESSION_COOKIE))
        connection.state["token"] = token
        if handler.opt.get("writes") and not may_write(token):
            raise PermissionDeniedError(
                f"The token {token.name!r} only reads: log in with one that may admin to change anything."
            )

    return require_session


def may_write(token: Token) -> bool:
    """Whether somebody who is logged in by this token may change what the pages show."""
    return token.scope == "admin"


async def refuse_foreign_writes(request: Request[Any, Any, Any]) -> None:
    """Raise PermissionDeniedError for a write that a page of another origin makes in the name of its reader."""
    if request.method in SAFE_METHODS:
        return
    site = request.headers.get("sec-fetch-site")
    origin = request.headers.get("origin")
    if site is not None:
        foreign = site not in {"same-origin", "none"}
    else:
        foreign = origin is not None and urlsplit(origin).netloc != request.headers.get("host")
    if foreign:
        raise PermissionDeniedError("This form was sent from another site: open the dashboard itself and try again.")


def session_cookie(request: Request[Any, Any, Any], value: str, *, max_age: int) -> Cookie:
    """Make the cookie that holds a session, for this mount only; ``max_age`` is in seconds, 0 ends it."""
    return Cookie(
        key=SESSION_COOKIE,
        value=value,
        max_age=max_age,
        path=mount_prefix(request) or "/",
        secure=request.scope["scheme"] == "https",
        httponly=True,
        samesite="lax",
    )
