"""What the sinks of database servers have in common: one connection in each process, and what to do when it fails."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from contextlib import suppress
from enum import Enum, auto
from typing import TYPE_CHECKING, Generic, TypeVar

from tollkeeper.errors import SinkError
from tollkeeper.sinks.halves import Refused, send_in_halves
from tollkeeper.sinks.plain import plain_event
from tollkeeper.sinks.rejections import Rejections
from tollkeeper.sinks.rows import UNFIT

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tollkeeper.events.event import UsageEvent

__all__ = ["DatabaseSink", "Fault"]

Connection = TypeVar("Connection")


class Fault(Enum):
    """What an error of a driver says of the batch: whose fault it is, and what helps."""

    EVENT = auto()  # something in the batch will never be taken
    CONNECTION = auto()  # it is gone: with a new one, it may work at once
    SERVER = auto()  # it cannot take the batch now, or not until somebody has set it right
    SINK = auto()  # it is no place for events


class DatabaseSink(ABC, Generic[Connection]):
    """Writes batches over one connection, which is opened when it is needed, and never shared with a forked process.

    A batch that the database refuses for an event in it is sent in halves, down to that event. It gets a second chance
    in a plainer form; refused again, it is counted in ``rejected`` and logged.
    """

    def __init__(self, shown: str) -> None:
        self._shown = shown
        self._rejections = Rejections(shown)
        self._connection: Connection | None = None
        self._pid = os.getpid()
        self._inherited: list[Connection] = []

    @property
    def rejected(self) -> int:
        """Events that the database refused one by one, since this sink was made."""
        return self._rejections.count

    def send(self, events: Sequence[UsageEvent]) -> None:
        """Insert a batch, committed when this returns; events that are already there are left as they are.

        Raises:
            SinkError: to be retried, unless what is there under our name is not ours.
        """
        send_in_halves([events], self._send_part, self._rejections)

    def close(self) -> None:
        """Close the connection; a later ``send`` opens it again."""
        self._let_go_of_inherited()
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(Exception):  # it may be gone already
                self._close(connection)

    @abstractmethod
    def _open(self) -> Connection:
        """Connect, in bounded time."""

    @abstractmethod
    def _close(self, connection: Connection) -> None:
        """Close a connection of this process, in whatever state it is."""

    @abstractmethod
    def _insert(self, connection: Connection, events: Sequence[UsageEvent]) -> None:
        """Write a batch durably in bounded time, and make what it is written to if that is not there."""

    @abstractmethod
    def _judge(self, error: Exception) -> tuple[Fault, str]:
        """Say what an error of the three methods above means, and why it came, without values of events or secrets.

        This one judges what does not come from a driver.
        """
        if isinstance(error, UNFIT):
            return Fault.EVENT, f"it cannot be written ({type(error).__name__})"
        raise error

    def _send_part(self, events: Sequence[UsageEvent]) -> Refused | None:
        """Write a part of a batch, a single event that is refused in a plainer form."""
        refused = self._attempt(events)
        if refused and len(events) == 1:
            with suppress(*UNFIT):  # it cannot be made plain
                return self._attempt([plain_event(events[0])])
        return refused

    def _attempt(self, events: Sequence[UsageEvent]) -> Refused | None:
        self._let_go_of_inherited()
        kept = self._connection is not None
        try:
            if self._connection is None:
                self._connection = self._open()
            self._insert(self._connection, events)
        except Exception as error:
            fault, why = self._judge(error)
            if fault is Fault.EVENT:
                return Refused(why)
            self.close()
            if fault is not Fault.CONNECTION or not kept:
                raise SinkError(f"{self._shown}: {why}.", retry=fault is not Fault.SINK) from error
        except BaseException:  # ended in the middle of an exchange: nobody can go on with it
            self.close()
            raise
        else:
            return None
        return self._attempt(events)  # the server may have ended an idle connection: a new one decides

    def _let_go_of_inherited(self) -> None:
        if self._pid == os.getpid():
            return
        if self._connection is not None:  # the parent goes on with it: to close it here would end it there
            self._inherited.append(self._connection)
        self._connection, self._pid = None, os.getpid()
