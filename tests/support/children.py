"""Children of a fork that do one thing and end."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["in_child"]


def in_child(work: Callable[[], object]) -> int:
    """Run ``work`` in a child of a fork, and give its exit code: 0, or 1 when it returned False or raised."""
    child = os.fork()
    if not child:
        code = 1
        try:
            code = int(work() is False)
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
