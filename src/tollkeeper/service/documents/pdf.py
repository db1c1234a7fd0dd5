"""A page as PDF, set by typst: texts reach its template as data, so that nothing in them is markup."""

from __future__ import annotations

from importlib.resources import as_file, files
from typing import TYPE_CHECKING

import msgspec

from tollkeeper.service.documents.library import library

if TYPE_CHECKING:
    from datetime import datetime

    from tollkeeper.service.documents.page import Page

__all__ = ["pdf_of"]

ACCESSIBLE = "ua-1"
FONTS = "fonts"


def pdf_of(page: Page, at: datetime) -> bytes:
    """Set a page; ``at`` is when it was written, so that the same page always gives the same bytes.

    It is PDF/UA-1, or only tagged when no font has all its characters, which the standard asks for. Fonts of the system
    serve for those that ours do not have. Raises MissingDependencyError.
    """
    typst = library("typst")
    package = files("tollkeeper.service.documents")
    data = msgspec.json.encode(page).decode()
    with as_file(package / "document.typ") as template, as_file(package / FONTS) as fonts:
        options = {
            "font_paths": [str(fonts)] if fonts.is_dir() else [],
            "root": str(template.parent),
            "sys_inputs": {"page": data},
            "timestamp": int(at.timestamp()),
        }
        try:
            made: bytes = typst.compile(str(template), **options, pdf_standards=[ACCESSIBLE])
        except typst.TypstError:
            made = typst.compile(str(template), **options)
    return made
