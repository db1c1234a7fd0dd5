"""Options that are written down where functions cannot be, in settings: there they are named by dotted paths."""

from __future__ import annotations

from pkgutil import resolve_name
from typing import TYPE_CHECKING, Any

from tollkeeper.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["read_functions"]

FUNCTIONS = frozenset({"identify", "redact"})


def read_functions(options: Mapping[str, Any]) -> dict[str, Any]:
    """The options with functions for the paths in ``identify`` and ``redact``, and in ``exclude`` beside the routes.

    ``api`` and ``api_version`` stay what they are, for there a text is a text. Raises ConfigurationError when a path
    leads to no function.
    """
    return {name: _read(name, value) for name, value in options.items()}


def _read(name: str, value: Any) -> Any:
    if name in FUNCTIONS and isinstance(value, str):
        return _function(name, value)
    if name == "exclude" and isinstance(value, list | tuple):
        return [_function(name, rule) if _is_path(rule) else rule for rule in value]
    return value


def _is_path(rule: Any) -> bool:
    return isinstance(rule, str) and "." in rule and rule[:1] not in {"/", "("}


def _function(name: str, path: str) -> Any:
    try:
        function = resolve_name(path)
    except (ImportError, AttributeError, ValueError) as error:
        raise ConfigurationError(
            f"{name} is {path!r}: give a function, or the dotted path of one ({error})."
        ) from error
    if not callable(function):
        raise ConfigurationError(f"{name} is {path!r}, which is no function: give one, or the dotted path of one.")
    return function
