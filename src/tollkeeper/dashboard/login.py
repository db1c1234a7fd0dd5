"""Into the dashboard and out of it: by a token, or by a link that works once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from litestar import Request, Response, get, post
from litestar.response import Redirect

from tollkeeper.dashboard.security import session_cookie
from tollkeeper.dashboard.view import mount_prefix
from tollkeeper.errors import AuthenticationError, PermissionDeniedError
from tollkeeper.service.access import SESSION_COOKIE

if TYPE_CHECKING:
    from litestar.di import NamedDependency
    from litestar.params import FromPath, URLEncodedBody

    from tollkeeper.dashboard.pages import Pages
    from tollkeeper.service.bootstrap import Service

__all__ = ["log_in", "log_out", "login_form", "login_link", "use_login_link"]

PUBLIC = {"public": True}


@get("/login", opt=PUBLIC, sync_to_thread=False)
def login_form(request: Request[Any, Any, Any], pages: NamedDependency[Pages]) -> Response[bytes]:
    """Ask for a token."""
    return pages.render(request, "login.html", next="/", problem=None)


@post("/login", opt=PUBLIC, sync_to_thread=True)
def log_in(
    request: Request[Any, Any, Any],
    pages: NamedDependency[Pages],
    service: NamedDependency[Service],
    data: URLEncodedBody[dict[str, Any]],
) -> Response[Any]:
    """Trade a token for a session and go on to where the person wanted to."""
    target = _local(str(data.get("next", "")))
    try:
        session = service.access.log_in_by_token(str(data.get("token", "")))
    except (AuthenticationError, PermissionDeniedError) as error:
        status = 401 if isinstance(error, AuthenticationError) else 403
        problem = error.detail if data.get("token") else "Paste a token first."
        return pages.render(request, "login.html", status=status, next=target, problem=problem)
    return _enter(request, service, session, target)


@get("/login/{code:str}", opt=PUBLIC, sync_to_thread=False)
def login_link(request: Request[Any, Any, Any], pages: NamedDependency[Pages], code: FromPath[str]) -> Response[bytes]:
    """Show a button that uses the link up: what only looks at a link, as a preview does, must not burn it."""
    response = pages.render(request, "login_link.html", code=code)
    response.headers["Referrer-Policy"] = "no-referrer"
    return response


@post("/login/{code:str}", opt=PUBLIC, sync_to_thread=True)
def use_login_link(
    request: Request[Any, Any, Any],
    pages: NamedDependency[Pages],
    service: NamedDependency[Service],
    code: FromPath[str],
) -> Response[Any]:
    """Trade the code for a session, once."""
    try:
        session = service.access.log_in_by_link(code)
    except AuthenticationError as error:
        return pages.render(request, "login.html", status=401, next="/", problem=error.detail)
    return _enter(request, service, session, "/")


@post("/logout", opt=PUBLIC, sync_to_thread=True)
def log_out(request: Request[Any, Any, Any], service: NamedDependency[Service]) -> Response[Any]:
    """End the session; idempotent."""
    service.access.log_out(request.cookies.get(SESSION_COOKIE))
    return Redirect(f"{mount_prefix(request)}/login", status_code=303, cookies=[session_cookie(request, "", max_age=0)])


def _enter(
    request: Request[Any, Any, Any], service: NamedDependency[Service], session: str, target: str
) -> Response[Any]:
    cookie = session_cookie(request, session, max_age=service.settings.session_hours * 3600)
    return Redirect(mount_prefix(request) + target, status_code=303, cookies=[cookie])


def _local(target: str) -> str:
    """The target when it is a path of this dashboard, else its first page: nobody is sent elsewhere."""
    parts = urlsplit(target)
    is_local = target.startswith("/") and not target.startswith("//") and "\\" not in target
    return target if is_local and not parts.scheme and not parts.netloc and target.isprintable() else "/"
