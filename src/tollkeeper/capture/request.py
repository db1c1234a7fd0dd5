"""The request as the functions of the host get it where there is no framework that has one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from msgspec import Struct

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["RequestView"]


class RequestView(Struct, frozen=True, kw_only=True):
    """A request; the names of its headers are in lower case. ``native`` is the WSGI environ or the ASGI scope."""

    method: str
    path: str
    query: str
    headers: dict[str, str]
    native: Any

    @classmethod
    def of_environ(cls, environ: Mapping[str, Any]) -> RequestView:
        """The view of a WSGI environ."""
        headers = {
            name.removeprefix("HTTP_").replace("_", "-").lower(): value
            for name, value in environ.items()
            if name[:5] == "HTTP_" or name in {"CONTENT_TYPE", "CONTENT_LENGTH"}
        }
        path = f"{environ.get('SCRIPT_NAME', '')}{environ.get('PATH_INFO', '')}"
        return cls(
            method=environ["REQUEST_METHOD"],
            path=path.encode("latin-1", "replace").decode("utf-8", "replace"),
            query=environ.get("QUERY_STRING", ""),
            headers=headers,
            native=environ,
        )

    @classmethod
    def of_scope(cls, scope: Mapping[str, Any]) -> RequestView:
        """The view of an ASGI scope; of a header that repeats, the last value."""
        headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}
        return cls(
            method=scope["method"],
            path=scope["path"],
            query=scope.get("query_string", b"").decode("latin-1"),
            headers=headers,
            native=scope,
        )
