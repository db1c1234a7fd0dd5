"""Hide nothing, for those who must keep what the original kept."""

from __future__ import annotations

from typing import Any

from tollkeeper.capture.redact import Redactor

__all__ = ["Undisguised"]


class Undisguised(Redactor):
    """A redactor that shows everything, secrets too."""

    def document(self, value: Any, at: str = "body") -> Any:  # noqa: ARG002 - wherever it stands
        """Return ``value``."""
        return value

    def url(self, url: str, at: str = "url") -> str:  # noqa: ARG002 - wherever it stands
        """Return ``url``."""
        return url

    def is_sensitive(self, name: str) -> bool:  # noqa: ARG002 - whatever its name
        """Tell that nothing is."""
        return False

    def _show(self, text: str) -> str:
        return text

    def _traits(self, name: str) -> int:  # noqa: ARG002 - whatever its name
        return 0
