"""The way into a store's transactions, which is shut while the process forks and once the store is closed."""

from __future__ import annotations

import contextlib
import os
import threading
from collections import Counter
from typing import TYPE_CHECKING
from weakref import WeakSet

from tollkeeper.errors import StoreError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["Gate", "check_usable", "unforked"]

FORK_SECONDS = 10.0


class Gate:
    """Counts the transactions of one store. None begins while the process forks, or once all is closed.

    A fork waits for those of all stores, for ten seconds at most, and then calls ``close_all``, so that it finds all
    connections closed. What outlasts the wait is left to the parent alone: the child calls ``abandon``, and must keep
    such a connection unused, for to close it there would end it for the parent. ``name`` is what an error message
    calls the store. ``library`` says that its library has locks of its own in the process, as SQLite has; see
    ``check_usable``.
    """

    def __init__(self, name: str, *, close_all: Callable[[], None], abandon: Callable[[], None], library: bool) -> None:
        self.close_all, self.abandon = close_all, abandon
        self.active = 0
        self._name, self._library = name, library
        self._closed = False
        _under_way.gates.add(self)

    @contextlib.contextmanager
    def passage(self) -> Iterator[None]:
        """Hold the gate open for one transaction; raises StoreError when the store is closed."""
        with unforked(library=self._library):
            if self._closed:
                raise StoreError(f"{self._name} is closed.")
            changed = _under_way.changed
            with changed:
                self.active += 1
            try:
                yield
            finally:
                if changed is _under_way.changed:  # or else this is the child, which has counted anew
                    with changed:
                        self.active -= 1
                        changed.notify_all()

    def close(self, patience: float) -> None:
        """Close every connection, when the transactions under way have ended or ``patience`` has; idempotent."""
        with unforked(library=self._library):
            changed = _under_way.changed
            with changed:
                self._closed = True
                changed.wait_for(lambda: not self.active, patience)
            self.close_all()


@contextlib.contextmanager
def unforked(*, library: bool) -> Iterator[None]:
    """A fork waits for the block. Who is in one may begin another while a fork waits, or they would wait for ever."""
    changed, thread = _under_way.changed, threading.get_ident()
    with changed:
        changed.wait_for(lambda: not _under_way.forking or thread in _under_way.threads)
        _under_way.threads[thread] += 1
        _under_way.in_library += library
    try:
        yield
    finally:
        if changed is _under_way.changed:
            with changed:
                _under_way.threads[thread] -= 1  # of the thread that began it; another one may end it
                if not _under_way.threads[thread]:
                    del _under_way.threads[thread]
                _under_way.in_library -= library
                changed.notify_all()


def check_usable() -> None:
    """Raises StoreError in the child of a fork in the middle of a ``library``: what it had locked stays locked here."""
    if _under_way.torn:
        raise StoreError(
            "This process was forked while its parent was in the middle of a transaction on SQLite, which nobody can "
            "use here: fork before the store is opened, or start processes by 'spawn'."
        )


class _UnderWay:
    """What is under way in this process, in all its stores, by thread: a transaction may lie within one of another."""

    def __init__(self) -> None:
        self.gates: WeakSet[Gate] = WeakSet()
        self.torn = False
        self._reset()
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(before=self._before, after_in_parent=self._in_parent, after_in_child=self._in_child)

    def _reset(self) -> None:
        self.changed = threading.Condition()
        self.forking = False
        self.threads: Counter[int] = Counter()
        self.in_library = 0

    def _before(self) -> None:
        me = threading.get_ident()
        with self.changed:
            self.forking = True
            self.changed.wait_for(lambda: not self.threads.keys() - {me}, FORK_SECONDS)
            for gate in [gate for gate in self.gates if not gate.active]:
                gate.close_all()

    def _in_parent(self) -> None:
        with self.changed:
            self.forking = False
            self.changed.notify_all()

    def _in_child(self) -> None:
        self.torn = self.torn or self.in_library > 0
        self._reset()
        for gate in list(self.gates):
            gate.active = 0
            gate.abandon()


_under_way = _UnderWay()
