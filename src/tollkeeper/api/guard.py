"""Who may call which route of the API: a token in the header, or the session of a browser for what only reads."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tollkeeper.service.access import SESSION_COOKIE

if TYPE_CHECKING:
    from collections.abc import Callable

    from litestar.connection import ASGIConnection
    from litestar.handlers import BaseRouteHandler

    from tollkeeper.service.bootstrap import Service

__all__ = ["bearer", "token_guard"]


def token_guard(service: Service) -> Callable[[ASGIConnection[Any, Any, Any, Any], BaseRouteHandler], None]:
    """Make the guard of the API: every route needs the right to read, save where ``opt={"public": True}``.

    With ``opt={"scope": …}`` it needs a token of that scope in the header: a session of a browser only reads. The token
    is left in the state of the connection.
    """

    def authorize(connection: ASGIConnection[Any, Any, Any, Any], handler: BaseRouteHandler) -> None:
        if handler.opt.get("public"):
            return
        needed = handler.opt.get("scope", "read")
        header = connection.headers.get("authorization")
        session = connection.cookies.get(SESSION_COOKIE)
        if header is None and session is not None and needed == "read":
            connection.state["token"] = service.access.check_session(session)
        else:
            connection.state["token"] = service.access.authorize(bearer(header or ""), needed)

    return authorize


def bearer(header: str) -> str | None:
    """The token in the header ``Authorization``; None when it holds none."""
    scheme, _, secret = header.partition(" ")
    return secret.strip() if scheme.lower() == "bearer" else None
