"""Connections to a server that are kept from one request to the next."""

from __future__ import annotations

import os
from collections import deque
from contextlib import suppress
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Pool"]

Connection = TypeVar("Connection")

MAX_IDLE = 8


class Pool(Generic[Connection]):
    """Idle connections of each process, for whoever needs one next; the last one given back is taken first.

    Safe in threads without a lock. Those of a parent are neither used nor closed in the child of a fork, as that would
    end them for the parent.
    """

    def __init__(self, connect: Callable[[], Connection], disconnect: Callable[[Connection], object]) -> None:
        self._connect = connect
        self._disconnect = disconnect
        self._idle: dict[int, deque[Connection]] = {}

    def take(self) -> tuple[Connection, bool]:
        """Return a connection for one thread alone, and whether it is a new one; raises what connecting raises."""
        try:
            return self._ours().pop(), False
        except IndexError:
            return self._connect(), True

    def give(self, connection: Connection) -> None:
        """Keep a connection that works for the next one, unless enough are kept."""
        idle = self._ours()
        if len(idle) < MAX_IDLE:
            idle.append(connection)
        else:
            self.drop(connection)

    def drop(self, connection: Connection) -> None:
        """Close a connection, whatever state it is in; never raises."""
        with suppress(Exception):
            self._disconnect(connection)

    def close(self) -> None:
        """Close all that are idle; a later ``take`` makes new ones."""
        idle = self._ours()
        while idle:
            self.drop(idle.pop())

    def _ours(self) -> deque[Connection]:
        return self._idle.setdefault(os.getpid(), deque())
