"""From a template and its figures to an answer."""

from __future__ import annotations

import gzip
from typing import TYPE_CHECKING, Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from litestar import Response
from litestar.enums import MediaType

from tollkeeper.dashboard.encodings import accepted_encodings
from tollkeeper.dashboard.formats import FILTERS
from tollkeeper.dashboard.ranges import PRESETS, to_field
from tollkeeper.dashboard.security import may_write
from tollkeeper.dashboard.view import mount_prefix

if TYPE_CHECKING:
    from litestar import Request

    from tollkeeper.dashboard.assets import Assets

__all__ = ["Pages"]

THEMES = ("system", "light", "dark")
WORTH_PACKING = 1000
PACK_LEVEL = 5


class Pages:
    """The compiled templates; safe to use from any thread."""

    def __init__(self, assets: Assets) -> None:
        self._names = assets.names
        self._environment = Environment(
            loader=PackageLoader("tollkeeper.dashboard"),
            autoescape=True,
            trim_blocks=True,
            lstrip_blocks=True,
            undefined=StrictUndefined,
        )
        self._environment.filters.update(FILTERS)
        self._environment.globals.update(presets=tuple(PRESETS), themes=THEMES, to_field=to_field)

    def render(
        self, request: Request[Any, Any, Any], template: str, *, status: int = 200, **context: Any
    ) -> Response[bytes]:
        """Render a template; its links come from ``href``, ``asset`` and ``view.url``, which honour the mount.

        ``editor`` tells a template whether its reader may change anything.
        """
        root = mount_prefix(request)
        theme = request.cookies.get("tollkeeper_theme", "")
        token = request.state.get("token")
        text = self._environment.get_template(template).render(
            asset=lambda name: f"{root}/assets/{self._names[name]}",
            href=lambda path: root + path,
            root=root or "/",
            editor=token is not None and may_write(token),
            theme=theme if theme in THEMES else THEMES[0],
            **context,
        )
        body = text.encode()
        headers = {"Vary": "Accept-Encoding, Cookie"}
        if len(body) > WORTH_PACKING and "gzip" in accepted_encodings(request):
            body = gzip.compress(body, PACK_LEVEL, mtime=0)
            headers["Content-Encoding"] = "gzip"
        return Response(body, status_code=status, media_type=MediaType.HTML, headers=headers)
