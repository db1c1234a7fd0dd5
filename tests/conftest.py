"""What holds for all tests: a forked child that hangs says where, and what coverage has seen is not lost by a fork."""

from __future__ import annotations

import faulthandler
import os
import signal
import threading

from coverage import Coverage

__all__: list[str] = []

A_CHILD_LIVES = 200  # seconds, less than a test may take

watching = Coverage.current()
collector = None if watching is None else watching._collector  # it has no hooks of its own
if collector is not None:
    # Another thread may hold its lock at the fork; the child would wait for it for ever. Re-entrant, because of what
    # the child calls before its hooks: finalisers of what those threads held that it does not have.
    collector.data_lock = threading.RLock()
    os.register_at_fork(
        before=collector.lock_data, after_in_parent=collector.unlock_data, after_in_child=collector.unlock_data
    )


def pytest_configure() -> None:
    """End a forked child that hangs, with its threads' stacks: its parent waits for it, and so would all tests."""
    stderr = os.dup(2)  # nothing is captured yet

    def bound() -> None:
        faulthandler.unregister(signal.SIGALRM)
        signal.signal(signal.SIGALRM, signal.SIG_DFL)  # what pytest-timeout set is the parent's
        faulthandler.register(signal.SIGALRM, stderr, chain=True)
        signal.alarm(A_CHILD_LIVES)

    os.register_at_fork(after_in_child=bound)


def pytest_sessionfinish() -> None:
    """Save now: who is slow to end, with all that is to be done at exit, is killed by pytest-xdist."""
    if watching is not None:
        watching.stop()
        watching.save()
