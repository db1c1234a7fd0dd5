"""What is to be done when the process forks, without keeping the object that it is done for alive."""

from __future__ import annotations

import os
import sys
import threading
import weakref
from functools import partial
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["ForkLock", "call_at_fork", "is_to_fork"]

FORK_WAIT_SECONDS = 1.0

Hook = weakref.WeakMethod["Callable[[], None]"]


def call_at_fork(**methods: Callable[[], None]) -> None:
    """Register bound methods as ``before``, ``after_in_parent`` and ``after_in_child``; does nothing without forks."""
    if hasattr(os, "register_at_fork"):
        hooks = {moment: partial(_call, weakref.WeakMethod(method)) for moment, method in methods.items()}
        os.register_at_fork(**hooks)


def is_to_fork() -> bool:
    """Whether this is the process of uWSGI that loads the app, and is to make the others from that.

    It forks from C, past what Python does to get its locks ready for that. If a thread runs Python at that moment, then
    no worker ever does (https://github.com/unbit/uwsgi/issues/2387): a process that is to fork should start none.
    """
    uwsgi: Any = sys.modules.get("uwsgi")
    if not hasattr(uwsgi, "masterpid") or uwsgi.worker_id():
        return False
    master = uwsgi.masterpid()
    return bool(master == os.getpid() if master else uwsgi.numproc > 1)


class ForkLock:
    """A lock that a fork takes, so that nobody is in the middle of what it guards, and that is free in the child.

    A fork waits for who holds it, but not for ever. ``before`` is called with the lock held, or not at all;
    ``after_in_child`` always, with the lock renewed. Both are methods of the object that it guards.
    """

    def __init__(
        self, before: Callable[[], None] | None = None, after_in_child: Callable[[], None] | None = None
    ) -> None:
        self._before = None if before is None else weakref.WeakMethod(before)
        self._after_in_child = None if after_in_child is None else weakref.WeakMethod(after_in_child)
        self._held_for_fork = False
        self._lock = self._entered = threading.Lock()
        call_at_fork(before=self._take, after_in_parent=self._give_back, after_in_child=self.renew)

    def __enter__(self) -> None:
        lock = self._lock
        lock.acquire()
        self._entered = lock  # not the one that a fork within may put in its place

    def __exit__(self, *_: object) -> None:
        self._entered.release()

    def renew(self) -> None:
        """Free it in the child, as the hooks do; for forks that pass them by, as those of uWSGI."""
        self._lock = threading.Lock()
        if self._after_in_child is not None:
            _call(self._after_in_child)

    def _take(self) -> None:
        self._held_for_fork = self._lock.acquire(timeout=FORK_WAIT_SECONDS)
        if self._held_for_fork and self._before is not None:
            _call(self._before)

    def _give_back(self) -> None:
        if self._held_for_fork:
            self._lock.release()


def _call(hook: Hook) -> None:
    # A hook cannot be taken back: it outlives what it belongs to.
    if (method := hook()) is not None:
        method()
