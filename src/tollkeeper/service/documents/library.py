"""Import what only documents need, so that a service without it still answers everything else."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from tollkeeper.errors import MissingDependencyError

__all__ = ["library"]


def library(module: str) -> Any:
    """Import a module; raises MissingDependencyError, whose message names the extra that installs it."""
    try:
        return import_module(module)
    except ImportError as error:
        raise MissingDependencyError(
            f"Invoices as documents need {module.partition('.')[0]!r}. Run: pip install 'tollkeeper[server]' ({error})."
        ) from error
