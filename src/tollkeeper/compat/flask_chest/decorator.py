"""The decorator: an id before the view, and after it what the view left on ``g`` goes to the chests."""

from __future__ import annotations

import inspect
import uuid
from collections.abc import Callable, Mapping, Sequence
from functools import wraps
from typing import TYPE_CHECKING, Any, TypeVar, cast

from flask import g, request

from tollkeeper.compat.flask_chest.chest import FlaskChest
from tollkeeper.compat.flask_chest.values import writable
from tollkeeper.errors import ConfigurationError
from tollkeeper.log import QuietLog

if TYPE_CHECKING:
    from tollkeeper.compat.flask_chest.chest import Variable

__all__ = ["flask_chest"]

View = TypeVar("View", bound=Callable[..., Any])
Tracked = Mapping[str, Sequence[str]] | None

MAX_ID_CHARACTERS = 255
ID_NAME = "custom_request_id"
"""Where on ``g`` the id is while the view runs."""


def flask_chest(
    chests: Sequence[Any],
    tracked_vars: Tracked = None,
    request_id_generator: Callable[[], object] | None = lambda: str(uuid.uuid4()),
    raise_exceptions: bool = True,  # noqa: FBT001, FBT002 - the signature that is replaced
) -> Callable[[View], View]:
    """Decorate a view, so that variables of ``g`` are written to ``chests``, one after the other, when it returns.

    ``tracked_vars`` maps methods to the names of variables; None means all. A view that raises writes nothing. With
    ``raise_exceptions`` the first failing chest fails the request, without it failures are logged and counted.

    Raises:
        ConfigurationError: at decoration, when ``tracked_vars`` is neither None nor such a mapping.
    """
    tracking = Tracking(chests, _names(tracked_vars), request_id_generator, raise_exceptions=raise_exceptions)

    def decorate(view: View) -> View:
        @wraps(view)
        def call(*args: Any, **kwargs: Any) -> Any:
            request_id = tracking.begin()
            answer = view(*args, **kwargs)
            tracking.end(request_id)
            return answer

        @wraps(view)
        async def call_async(*args: Any, **kwargs: Any) -> Any:
            request_id = tracking.begin()
            answer = await view(*args, **kwargs)
            tracking.end(request_id)
            return answer

        decorated: Any = call_async if inspect.iscoroutinefunction(view) else call
        decorated.flask_chests = chests
        return cast("View", decorated)

    return decorate


class Tracking:
    """What a decorated view does at its beginning and at its end."""

    def __init__(
        self,
        chests: Sequence[Any],
        names: dict[str, list[str]] | None,
        generate: Callable[[], object] | None,
        *,
        raise_exceptions: bool,
    ) -> None:
        self._chests = chests
        self._names = names
        self._generate = generate
        self._raise = raise_exceptions
        self._log = QuietLog()

    def begin(self) -> str:
        """Make the id of a request, and put it on ``g``."""
        try:
            made = str(uuid.uuid4() if self._generate is None else self._generate())
        except Exception as error:
            if self._raise:
                raise
            self._log.tell("request_id", "The request_id_generator failed: a UUID takes its place.", error=error)
            made = str(uuid.uuid4())
        request_id = writable(made[:MAX_ID_CHARACTERS])[:MAX_ID_CHARACTERS]
        setattr(g, ID_NAME, request_id)
        return request_id

    def end(self, request_id: str) -> None:
        """Write what the view has left on ``g``."""
        if self._names is not None and request.method not in self._names:
            return
        try:
            variables = _collect(None if self._names is None else self._names[request.method], request_id)
            for chest in self._chests:
                _write(chest, variables, None if self._raise else self._log)
        except Exception as error:
            if self._raise:
                raise
            self._log.tell("variables", "The variables of a request cannot be read: they are not written.", error=error)


def _names(tracked_vars: Any) -> dict[str, list[str]] | None:
    """The names to track by method in capitals."""
    if tracked_vars is None:
        return None
    if not isinstance(tracked_vars, Mapping) or any(isinstance(names, str) for names in tracked_vars.values()):
        raise ConfigurationError(
            "tracked_vars must map methods to lists of names, as in {'GET': ['user_id']}, or be None for all."
        )
    found: dict[str, list[str]] = {}
    for method, names in tracked_vars.items():
        found.setdefault(method.upper(), []).extend(names)
    return found


def _write(chest: Any, variables: list[Variable], log: QuietLog | None) -> None:
    """Without a log a failure is raised."""
    try:
        chest.write(list(variables))
    except Exception as error:
        if log is None:
            raise
        if isinstance(chest, FlaskChest):
            chest.lose(error)
        else:
            log.tell("chest", "%r did not write: %s.", chest, error)


def _collect(wanted: list[str] | None, request_id: str) -> list[Variable]:
    """The variables that are there, in the order that was asked for, or that they were set in."""
    context: Any = g._get_current_object()  # noqa: SLF001 - the proxy costs each time
    own = context.get(ID_NAME)  # the view may have set another
    if own is not None and own is not request_id:
        request_id = writable(str(own)[:MAX_ID_CHARACTERS])[:MAX_ID_CHARACTERS]
    if wanted is not None:
        return [(name, context.get(name), request_id) for name in wanted if name in context]
    found = {name: context.get(name) for name in context if name != ID_NAME and not name.startswith("_")}
    variables = found.get("variables")
    if isinstance(variables, Mapping):
        del found["variables"]
        found |= {writable(str(name)): value for name, value in variables.items()}
    return [(name, value, request_id) for name, value in found.items()]
