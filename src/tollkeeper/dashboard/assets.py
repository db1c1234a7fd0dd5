"""The built scripts, styles and fonts: named by their content, so that a browser may keep them for ever."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from litestar import Request, Response, get
from msgspec import Struct

from tollkeeper.dashboard.encodings import accepted_encodings
from tollkeeper.errors import ConfigurationError, NotFoundError

if TYPE_CHECKING:
    from litestar.di import NamedDependency
    from litestar.params import FromPath

__all__ = ["Assets", "asset", "load_assets"]

DIST = Path(__file__).parent / "static" / "dist"
TYPES = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".txt": "text/plain; charset=utf-8",
    ".woff2": "font/woff2",
}
ENCODINGS = (("br", ".br"), ("gzip", ".gz"))


class Assets(Struct, frozen=True):
    """The files that may be sent, by name; ``names`` maps a source's name to the fingerprinted one."""

    names: dict[str, str]
    files: dict[str, Path]


def load_assets(dist: Path = DIST) -> Assets:
    """List what the frontend's build has made; raises ConfigurationError when it has not run."""
    try:
        names = json.loads((dist / "manifest.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        raise ConfigurationError(
            "The dashboard's assets are not built: run 'pip install .' or 'pip install -e .' in the source tree."
        ) from None
    return Assets(names, {path.name: path for path in dist.iterdir() if path.name != "manifest.json"})


@get("/assets/{name:str}", opt={"public": True}, sync_to_thread=True)
def asset(request: Request[Any, Any, Any], assets: NamedDependency[Assets], name: FromPath[str]) -> Response[bytes]:
    """Send an asset, compressed as the browser likes; only names that the build made are known."""
    path = assets.files.get(name)
    kind = TYPES.get(Path(name).suffix)
    if path is None or kind is None:
        raise NotFoundError("There is no such asset: reload the page.")
    headers = {"Cache-Control": "public, max-age=31536000, immutable", "Vary": "Accept-Encoding"}
    accepted = accepted_encodings(request)
    for encoding, suffix in ENCODINGS:
        if encoding in accepted and (packed := assets.files.get(name + suffix)):
            return Response(packed.read_bytes(), media_type=kind, headers=headers | {"Content-Encoding": encoding})
    return Response(path.read_bytes(), media_type=kind, headers=headers)
