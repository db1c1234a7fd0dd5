"""Methods that are called when the process forks, without keeping their object alive for that."""

from __future__ import annotations

import os
import weakref
from functools import partial
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["call_at_fork"]

Hook = weakref.WeakMethod["Callable[[], None]"]


def call_at_fork(**methods: Callable[[], None]) -> None:
    """Register bound methods as ``before``, ``after_in_parent`` and ``after_in_child``; does nothing without forks."""
    if hasattr(os, "register_at_fork"):
        hooks = {moment: partial(_call, weakref.WeakMethod(method)) for moment, method in methods.items()}
        os.register_at_fork(**hooks)


def _call(hook: Hook) -> None:
    # A hook cannot be taken back: it outlives what it belongs to.
    if (method := hook()) is not None:
        method()
