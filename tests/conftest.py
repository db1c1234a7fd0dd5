"""What holds for all tests, when coverage watches: a fork is safe, and nothing of what it has seen is lost."""

from __future__ import annotations

import os
import threading

from coverage import Coverage

__all__: list[str] = []

watching = Coverage.current()
collector = None if watching is None else watching._collector  # it has no hooks of its own
if collector is not None:
    # Another thread may hold its lock at the fork; the child would wait for it for ever. Re-entrant, because of what
    # the child calls before its hooks: finalisers of what those threads held that it does not have.
    collector.data_lock = threading.RLock()
    os.register_at_fork(
        before=collector.lock_data, after_in_parent=collector.unlock_data, after_in_child=collector.unlock_data
    )


def pytest_sessionfinish() -> None:
    """Save now: who is slow to end, with all that is to be done at exit, is killed by pytest-xdist."""
    if watching is not None:
        watching.stop()
        watching.save()
