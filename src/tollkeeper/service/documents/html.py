"""A page as HTML that needs nothing else: its style is inside, there is no script, and a browser prints it well."""

from __future__ import annotations

import base64
import hashlib
from importlib.resources import files
from typing import TYPE_CHECKING

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

if TYPE_CHECKING:
    from tollkeeper.service.documents.page import Page

__all__ = ["content_policy", "html_of"]


def html_of(page: Page) -> str:
    """Write a page; all texts are escaped."""
    environment = Environment(
        loader=PackageLoader("tollkeeper.service.documents", "."),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
    )
    # The style is a file of ours: as text it would be escaped, and its hash another one.
    style = Markup(_style())  # noqa: S704  # no text of others is in it
    return environment.get_template("document.html").render(page=page, style=style, policy=content_policy())


def content_policy() -> str:
    """What a browser may do with such a page: apply its own style, and nothing else."""
    digest = base64.b64encode(hashlib.sha256(_style().encode()).digest()).decode()
    return f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"


def _style() -> str:
    return (files("tollkeeper.service.documents") / "document.css").read_text(encoding="utf-8")
