"""Import what only one kind of destination needs."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from tollkeeper.errors import MissingDependencyError

__all__ = ["import_driver"]


def import_driver(module: str, extra: str) -> Any:
    """Import a driver when its sink is made, so that nobody else needs it.

    Raises:
        MissingDependencyError: it is not installed; the message names the extra that installs it.
    """
    try:
        return import_module(module)
    except ImportError as error:
        raise MissingDependencyError(
            f"The sink needs {module.partition('.')[0]!r}: pip install 'tollkeeper[{extra}]' ({error})."
        ) from error
