"""Runs of invoices in processes that can be killed: forked off one that has imported everything.

It reads lines. A store, a month and a day start a run, whose process id it writes once that has begun; wait and an id
have it write how that one ended.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

from support.billing_shop import at
from tollkeeper.service.bootstrap import open_service
from tollkeeper.service.invoicing import run, working
from tollkeeper.service.invoicing.surroundings import load_surroundings
from tollkeeper.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tollkeeper.billing.customer import Customer
    from tollkeeper.service.invoicing.surroundings import Surroundings
    from tollkeeper.store.protocols import Records

__all__ = ["Runner", "main"]

PAUSE = 0.02
TOGETHER = 4
"""Customers in a transaction, so that there are many moments between two."""
SECONDS = 60


class Runner:
    """The process that forks."""

    def __init__(self) -> None:
        paths = {"PYTHONPATH": str(Path(__file__).parents[1])}
        self._process = subprocess.Popen(
            [sys.executable, "-W", "error", __file__],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=paths,
        )

    def start(self, store: str, month: str, day: str) -> int:
        """Start a run; the id of its process."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{store} {month} {day}\n")
        self._process.stdin.flush()
        return int(self._process.stdout.readline())

    def wait(self, process: int) -> int:
        """Wait for a run that was started last of those that still run; how it ended, 0 or minus a signal."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"wait {process}\n")
        self._process.stdin.flush()
        return int(self._process.stdout.readline())

    def close(self) -> None:
        """Leave nothing behind."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        try:
            self._process.wait(10)
        finally:
            self._process.kill()
            self._process.wait(10)
            if self._process.stdout is not None:
                self._process.stdout.close()


def main() -> None:
    """Serve until the input ends."""
    run.load_surroundings = _slowly  # type: ignore[attr-defined]  # what it imports
    run.CHUNK = working.CHUNK = TOGETHER  # type: ignore[attr-defined]  # what they import
    for line in sys.stdin:
        words = line.split()
        if words[0] == "wait":
            _, status = os.waitpid(int(words[1]), 0)
            _say(os.waitstatus_to_exitcode(status))
            continue
        began, begins = os.pipe()
        process = os.fork()
        if process == 0:
            _run(begins, *words)
        os.close(begins)
        os.read(began, 1)  # its store is open
        os.close(began)
        _say(process)


def _slowly(records: Records, customers: Sequence[Customer]) -> dict[str, Surroundings]:
    """Stay in the transaction for a while, so that some die in it."""
    time.sleep(PAUSE)
    return load_surroundings(records, customers)


def _say(number: int) -> None:
    os.write(1, f"{number}\n".encode())


def _run(begins: int, store: str, month: str, day: str) -> None:
    """Run the invoices of a month, and end without anything that waits."""
    watchdog = threading.Timer(SECONDS, os.kill, (os.getpid(), signal.SIGKILL))
    watchdog.daemon = True
    watchdog.start()
    status = 1
    try:
        service = open_service(Settings(store=store))
        os.write(begins, b".")
        run.run_invoices(service, month, now=at(day))
        service.close()
        status = 0
    finally:
        os._exit(status)


if __name__ == "__main__":
    main()
