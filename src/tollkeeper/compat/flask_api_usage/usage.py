"""``Usage(app)``, or ``Usage.init_app(app)``, and the three settings that it reads."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from tollkeeper.compat.flask_api_usage.read_on import ReadOn
from tollkeeper.compat.flask_api_usage.storage import LOGGER, storage
from tollkeeper.compat.flask_api_usage.undisguised import Undisguised
from tollkeeper.flask import Tollkeeper

if TYPE_CHECKING:
    from collections.abc import Callable

    import flask

__all__ = ["Usage"]

EXTENSION = LOGGER
JSON = ("application/json", "+json")
MAX_BODY_BYTES = 96 * 2**10
_logger = logging.getLogger(LOGGER)


class _Keeper(Tollkeeper):
    extension = EXTENSION  # beside a Tollkeeper of the same app, which has a sink and options of its own
    logger = LOGGER
    spool_place = EXTENSION


class _InitApp:
    """A method that may be called on an object and, as the old README has it, on the class."""

    def __get__(self, usage: Usage | None, owner: type[Usage]) -> Callable[[flask.Flask], None]:
        return (owner() if usage is None else usage)._start  # noqa: SLF001 - the method that this stands for


class Usage:
    """Stores each request of a Flask app as one document, without ever raising into a request or waiting for MongoDB.

    ``keeper`` delivers them, and counts: ``usage.keeper.flush()``, ``.stats()``, ``.close()``; None until there is an
    app, and where ``USAGE_ENABLED`` (default ``enabled``) says no.

    Raises:
        ConfigurationError: at set-up only, when a setting is wrong or pymongo is not installed.
    """

    init_app = _InitApp()

    def __init__(self, app: flask.Flask | None = None, enabled: bool = True) -> None:  # noqa: FBT001, FBT002 - as it was
        self.enabled = enabled
        self.keeper: Tollkeeper | None = None
        if app is not None:
            self._start(app)

    def _start(self, app: flask.Flask) -> None:
        if not app.config.get("USAGE_ENABLED", self.enabled):
            return
        present: Any = app.extensions.get(EXTENSION)
        if present is not None:  # both ways of the README, one after the other
            self.keeper = present
            return
        sink = storage(app.config)
        keeper = _Keeper(sink=sink, max_body_bytes=MAX_BODY_BYTES, content_types=JSON)
        if sink is None:  # not TOLLKEEPER_SINK: that is for a Tollkeeper, which the app may have, too
            _logger.warning("%r stores no usage: set USAGE_MONGODB_SETTINGS or USAGE_STORAGE_URI.", app.name)
            self.keeper = keeper
            return
        if not app.config.get("USAGE_REDACT", True):
            keeper.redactor = Undisguised
        app.wsgi_app = ReadOn(app.wsgi_app, MAX_BODY_BYTES)  # type: ignore[method-assign]  # how Flask takes a middleware
        keeper.init_app(app)
        self.keeper = keeper
