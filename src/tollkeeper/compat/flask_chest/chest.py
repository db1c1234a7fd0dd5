"""What every chest is: something that takes the variables of a request."""

from __future__ import annotations

import json
import logging
import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    from flask import Flask

__all__ = ["FlaskChest", "Variable"]

QUIET_SECONDS = 60.0
Variable = tuple[str, Any, str]
"""The name of a variable, its value and the id of the request."""

_default_logger = logging.getLogger("flask_chest")
_counting = threading.Lock()


class FlaskChest:
    """A destination for variables; subclass it for one of your own, which need not call ``super().__init__``.

    ``lost`` counts the writes that failed and were not raised. All methods are safe in threads and after a fork.
    """

    logger: Any = _default_logger
    lost = 0
    _quiet_until = 0.0

    def __init__(self, app: Flask | None = None, *, logger: logging.Logger | None = None) -> None:
        self.app = app
        self.logger = logger or _default_logger

    def write(self, context_tuple_list: Sequence[Variable]) -> None:
        """Take the variables of one request, all or none.

        Raises:
            SinkError: they were not taken, or it is not known; the message says why, and holds no value of them.
        """
        raise NotImplementedError(f"{type(self).__name__} has no write(context_tuple_list): give it one.")

    def close(self) -> None:
        """Let go of connections; idempotent, and a later ``write`` opens them again."""

    def to_dict(self) -> dict[str, Any]:
        """Describe the chest without its secrets."""
        return {"type": type(self).__name__}

    def __str__(self) -> str:
        return json.dumps(self.to_dict(), indent=4, default=str)

    def lose(self, error: BaseException) -> None:
        """Count a write that failed, and log it as an error, at most once a minute; never raises."""
        with _counting:
            self.lost += 1
            lost = self.lost
            now = time.monotonic()
            if now < self._quiet_until:
                return
            self._quiet_until = now + QUIET_SECONDS
        with suppress(Exception):  # a handler of the host may fail
            (self.logger or _default_logger).error(
                "%s did not write: %s; %d requests lost so far.", type(self).__name__, error, lost
            )
