"""What is kept of a report that went wrong: all that helps to mend it, and no secret."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec.structs import replace

from tollkeeper.events.redaction import REDACTED, is_sensitive, redact_text, redact_url

if TYPE_CHECKING:
    from tollkeeper.service.reports import Report

__all__ = ["input_text", "shown_document", "shown_report"]

MAX_CHARS = 16_384
MAX_DEPTH = 8
LEAST_SECRET = 8
"""A shorter key is no secret that could be found in a text without hiding words."""
UNSTORABLE = re.compile("[\0\ud800-\udfff]")


def shown_document(document: Any, secret: str | None, depth: int = 0) -> Any:
    """A JSON value without secrets: what is named like one, what looks like one, and the key of the report itself."""
    if isinstance(document, str):
        return _shown(document, secret)
    if depth == MAX_DEPTH and isinstance(document, dict | list):
        return REDACTED
    if isinstance(document, list):
        return [shown_document(item, secret, depth + 1) for item in document]
    if isinstance(document, dict):
        return {
            _shown(name, secret): REDACTED if is_sensitive(name) else shown_document(value, secret, depth + 1)
            for name, value in document.items()
        }
    return document


def shown_report(report: Report, secret: str | None) -> Report:
    """A report without the secrets in its texts; of its id, only the key is hidden, so that it can be looked for."""
    code = report.error_code
    return replace(
        report,
        api_version=_shown(report.api_version, secret),
        end_point_name=_shown(report.end_point_name, secret),
        client_address=_shown(report.client_address, secret),
        api_name=report.api_name and _shown(report.api_name, secret),
        error_code=_shown(code, secret) if isinstance(code, str) else code,
        id=_without(report.id, secret) if isinstance(report.id, str) else report.id,
        error_description=report.error_description and _shown(report.error_description, secret),
    )


def input_text(document: Any) -> str:
    """A JSON value as text that is kept; what is too long is cut, and cannot be read again as a whole."""
    return _storable(msgspec.json.encode(document).decode())[:MAX_CHARS]


def _storable(text: str) -> str:
    """A text without what not every database can keep."""
    return UNSTORABLE.sub("\ufffd", text)


def _shown(text: str, secret: str | None) -> str:
    text = _without(_storable(text), secret)
    return redact_url(text) if text.startswith("/") else redact_text(text)


def _without(text: str, secret: str | None) -> str:
    return text.replace(secret, REDACTED) if secret and len(secret) >= LEAST_SECRET else text
