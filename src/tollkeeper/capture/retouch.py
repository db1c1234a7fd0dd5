"""The user's own function with the last word on what is shown."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

import msgspec

from tollkeeper.events.redaction import REDACTED

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Retouch"]

MAX_PATH = 512

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder().decode


class Retouch:
    """Asks ``custom(path, value)`` what to show in the place of a value; when it fails, nothing is shown.

    Never raises: an error goes to ``failed``, which may itself raise without harm.
    """

    def __init__(self, custom: Callable[[str, Any], Any], failed: Callable[[BaseException], object]) -> None:
        self._custom = custom
        self._failed = failed

    def text(self, path: str, text: str) -> str:
        """What to show of a text where only a text can stand; the marker stays."""
        shown: str = text if text == REDACTED else self._ask(path, text, str)
        return shown

    def document(self, holder: list[Any], path: str) -> None:
        """Replace in place, without recursion, each leaf of JSON that still says something."""
        waiting: list[tuple[Any, str]] = [(holder[0], path)]
        if not isinstance(holder[0], dict | list):
            holder[0] = self._leaf(path, holder[0])
            return
        while waiting:
            node, at = waiting.pop()
            for step, held in node.items() if isinstance(node, dict) else enumerate(node):
                below = f"{at}.{step}" if len(at) < MAX_PATH else at
                if isinstance(held, dict | list):
                    waiting.append((held, below))
                else:
                    node[step] = self._leaf(below, held)

    def _leaf(self, path: str, value: Any) -> Any:
        return value if value == REDACTED else self._ask(path, value, str | int | float | list | dict | None)

    def _ask(self, path: str, value: Any, expected: Any) -> Any:
        try:
            shown = self._custom(path, value)
            if not isinstance(shown, expected):
                raise TypeError(  # noqa: TRY301 - reported like whatever else it does wrong
                    f"redact returned {type(shown).__name__} for {path}: return a text, or in bodies any JSON value."
                )
            return _decode(_encode(shown))  # all of it is JSON, and nobody else holds it
        except BaseException as error:  # noqa: BLE001 - it is the user's code, and may do anything
            with suppress(BaseException):
                self._failed(error)
            return REDACTED
