"""Where the use of leases is written down: in the ledger of this process, and nowhere when there can be none."""

from __future__ import annotations

import time
from itertools import islice
from typing import TYPE_CHECKING

from tollkeeper.events.lease import LeaseRequest
from tollkeeper.leases.ledger import Ledger, adopt

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tollkeeper.events.lease import Settle
    from tollkeeper.folders.files import Files
    from tollkeeper.leases.ledger import Left
    from tollkeeper.log import QuietLog

__all__ = ["Shelf"]

ADOPT_SECONDS = 5.0
MAX_SETTLES = 5_000
MAX_LEFT = 250
"""Dead processes whose folders are claimed at a time: each claim is an open file of the host's."""


class Shelf:
    """A ledger that is opened when it is needed, and may be missing; nothing of it raises, ``tell`` says what failed.

    ``left`` is what dead processes left, until it is settled. Without a ``folder``, or without ``files``, a crash costs
    what the service did not know yet.
    """

    def __init__(self, folder: Path | None, files: Files | None) -> None:
        self._folder = folder
        self._files = files
        self._ledger: Ledger | None = None
        self._scratch = memoryview(bytearray(8)).cast("Q")
        self._look_at = 0.0
        self._error: OSError | None = None
        self.left: list[Left] = []
        self._settles: list[Settle] = []

    def open(self) -> None:
        """Open the ledger of this process, unless it is open; not on the path of a request."""
        if self._ledger is None and self._folder is not None and self._files is not None:
            try:
                self._ledger = Ledger(self._folder, self._files)
            except OSError as error:
                self._error = error

    def keep(self, lease: str) -> tuple[memoryview, int]:
        """A place for the use of a lease, in the ledger if possible."""
        if self._ledger is not None:
            try:
                place = self._ledger.keep(lease)
            except OSError as error:
                self._error, place = error, None
            if place is not None:
                return place
        return self._scratch, 0

    def drop(self, words: memoryview, place: int) -> None:
        """Give a place back."""
        if self._ledger is not None and words is not self._scratch:
            self._ledger.drop(words, place)

    def left_by_others(self) -> Iterator[LeaseRequest]:
        """What all dead processes used, in few requests that settle it; one is done when the next is asked for.

        After a while there may be more, and what could not be settled is tried again.
        """
        if self._folder is None or self._files is None or time.monotonic() < self._look_at:
            return
        self._look_at = time.monotonic() + ADOPT_SECONDS
        try:
            found = list(islice(adopt(self._folder, self._files, self._ledger), MAX_LEFT - len(self.left)))
        except OSError as error:
            self._error, found = error, []
        self.left += found
        self._settles += [settle for one in found for settle in one.settles]
        while self._settles:
            yield LeaseRequest(settle=self._settles[:MAX_SETTLES])
            del self._settles[:MAX_SETTLES]
        while self.left:
            self.left.pop().settled()

    def tell(self, log: QuietLog) -> None:
        """Say what failed since this was called last."""
        error, self._error = self._error, None
        if error is not None:
            log.tell("gate_folder", "Tollkeeper's gate cannot write down what it used of its leases.", error=error)

    def close(self) -> None:
        """Let go of the files; what is not settled is the next process's."""
        if self._ledger is not None:
            self._ledger.close()
            self._ledger = None
