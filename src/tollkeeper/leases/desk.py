"""The daemon thread that takes and settles leases for all threads of a process, one request at a time."""

from __future__ import annotations

import atexit
import math
import os
import sys
import threading
import time
import weakref
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

from tollkeeper.errors import ConfigurationError, SinkError
from tollkeeper.folders.files import Files
from tollkeeper.forks import call_at_fork, is_to_fork
from tollkeeper.leases.book import Book
from tollkeeper.leases.shelf import Shelf

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tollkeeper.events.lease import LeaseAnswer, LeaseRequest
    from tollkeeper.leases.lease import CallKey
    from tollkeeper.leases.waiter import Waiter
    from tollkeeper.log import QuietLog

__all__ = ["Desk", "Leases"]

TICK_SECONDS = 0.5
EXIT_SECONDS = 2.0


class Leases(Protocol):
    """Where leases come from. It is called from one thread at a time, and must survive a fork between two calls."""

    def exchange(self, request: LeaseRequest) -> LeaseAnswer:
        """Settle and take leases; raises whatever went wrong."""
        ...

    def close(self) -> None:
        """Let go of connections; a later ``exchange`` opens them again."""
        ...


class Desk:
    """Holds the leases of this process; ``book`` is guarded by ``lock``. Its thread starts when something is asked.

    ``down`` says that asking failed; whoever waited in vain since the service ``answered`` last, in monotonic seconds,
    sets it, too. A child of a fork starts with nothing: what was leased is the parent's. Safe in threads; nothing of it
    raises. Of ``idle_seconds`` and ``least`` see ``Book``; between two requests what is wanted is gathered for
    ``gather_seconds``.
    """

    def __init__(
        self,
        leases: Leases,
        folder: Path | None,
        log: QuietLog,
        *,
        idle_seconds: float = math.inf,
        least: int = 0,
        gather_seconds: float = 0.0,
    ) -> None:
        self._leases = leases
        self._folder = folder
        self._log = log
        self._closing = False
        self._gather_seconds = gather_seconds
        self._watched = partial(Book, idle_seconds=idle_seconds, least=least)
        self._files: Files | None = None  # one for all forks: it closes in a child what is its parent's
        with suppress(ConfigurationError):  # of a platform without flock
            self._files = Files()
        self._at_exit = partial(_call, weakref.WeakMethod(self.close))
        atexit.register(self._at_exit)
        self._reset()
        call_at_fork(after_in_child=self._reset)

    def _reset(self) -> None:
        self.process = os.getpid()
        self.lock = threading.Lock()
        self._shelf = Shelf(self._folder, self._files)
        self.book = self._watched(self._shelf.keep, self._shelf.drop, self._hurry)
        self.down = False
        self.answered = 0.0
        self._tried = self._told = 0.0
        self._waiters: dict[CallKey, list[Waiter]] = {}
        self._asked: set[CallKey] = set()
        self._wake = threading.Event()
        self._adopting = False
        self._returned: list[Waiter] = []
        self._released: threading.Event | None = None
        self._thread: threading.Thread | None = None

    @property
    def answers(self) -> bool:
        """Whether the service answers, as far as is known; not when nobody asks it any more."""
        return not (self.down or self._closing)

    def follow_fork(self) -> None:
        """Start anew in the child of a fork that passed Python's hooks by, as uWSGI's may."""
        if self.process != os.getpid():
            self._reset()

    def ask(self, key: CallKey, units: int, waiter: Waiter | None) -> bool:
        """Have the service asked about calls of a key, and tell the waiter; False when it will not be told."""
        if is_to_fork():  # there may be no thread to ask
            self.down = True
            return False
        with self.lock:
            if self._closing or (key not in self._asked and not self.book.want(key, units)):
                return False
            if waiter is not None:
                self._waiters.setdefault(key, []).append(waiter)
        started = self._start()
        self._wake.set()
        return started

    def adopt(self) -> None:
        """Settle now, on the thread, what dead processes left, instead of when something is asked."""
        self._adopting = True
        self._start()
        self._wake.set()

    def give_back(self, consumer: str, waiter: Waiter) -> bool:
        """Give back what is leased of a consumer, and tell the waiter; False when there is nothing to wait for."""
        with self.lock:
            under_way = any(key[0] == consumer for key in self._asked)
            if self._thread is None or not (under_way or self.book.has_left(consumer)):
                return False
            self.book.release(consumer)
            self._returned.append(waiter)
        self._wake.set()
        return True

    def release(self, seconds: float) -> bool:
        """Give all leases back, and wait for that; False when that could not be done in time. The gate goes on."""
        with self.lock:
            if self._thread is None or not self.book.holds:
                return True
            released = self._released = self._released or threading.Event()
        self._wake.set()
        released.wait(seconds)
        return not self.book.holds

    def close(self) -> None:
        """Give all leases back and end the thread, as far as that can be done in the time that an exit has."""
        atexit.unregister(self._at_exit)
        with self.lock:
            self._closing = True
            thread = self._thread
        self._wake.set()
        if thread is not None and thread is not threading.current_thread():
            thread.join(EXIT_SECONDS)

    def _start(self) -> bool:
        if self._thread is not None:
            return True
        thread = threading.Thread(target=self._run, name="tollkeeper-gate", daemon=True)
        with self.lock:
            if self._thread is None:
                # Of the kind that is in force now: gevent may have been patched in since this desk was made.
                self._wake = threading.Event()
                self._thread = thread
        if self._thread is not thread:
            return True
        try:
            thread.start()
        except RuntimeError as error:  # no more threads
            self._thread = None
            self.down = True
            self._log.tell("gate", "Tollkeeper cannot start the thread of its gate.", error=error)
            return False
        forked: Any = sys.modules.get("multiprocessing.util")
        if forked is not None:  # its children end without atexit
            forked.Finalize(None, self._at_exit, exitpriority=10)
        return True

    def _hurry(self) -> None:
        self._wake.set()

    def _run(self) -> None:
        try:
            while True:
                self._wait()
                closing = self._closing
                done = self._work(giving_back=closing or self._released is not None)
                if closing and (not done or not self.book.holds):
                    break
        finally:
            with self.lock:
                self._thread = None  # whatever ended this one, the next that asks starts another
            self.down = True
            self._tell([], [], failed=True)
        self._shelf.close()
        self._leases.close()

    def _wait(self) -> None:
        """Wait for the next exchange: at once when something is wanted, but not again and again of a dead service."""
        while not (self._closing or self._adopting or self._returned or self._released):
            with self.lock:
                hungry, idle, due = self.book.hungry, self.book.idle, self.book.due
            gathered = self._tried + self._gather_seconds - time.monotonic()
            if hungry and not self.down and gathered <= 0:
                break
            tick = (self._tried if self.down else self._told) + TICK_SECONDS
            left = (tick if self.down else min(tick, due)) - time.monotonic()
            if not idle and left <= 0:
                break
            if hungry and not self.down:
                left = min(left, gathered)
            self._wake.wait(None if idle else left)
            self._wake.clear()
        self._wake.clear()

    def _work(self, *, giving_back: bool) -> bool:
        """Exchange once what there is to be exchanged; False when that failed."""
        keys: list[CallKey] = []
        returned: list[Waiter] = []
        adopting, self._adopting = self._adopting, False
        failed = False
        try:
            with self.lock:
                returned, self._returned = self._returned, []
                if giving_back:
                    self.book.release()
                now = time.monotonic()
                self.book.look(now)
                telling = not self.book.hungry or now >= self._told + TICK_SECONDS
                keys, request = self.book.request(now, settle=telling)
                self._asked = set(keys)
            if keys:
                self._shelf.open()
            self._tried = time.monotonic()
            answer = self._granted(request)
            with self.lock:
                self.book.absorb(keys, request, answer, self._tried)
            if telling:
                self._told = self._tried
        except Exception as error:  # noqa: BLE001 - whatever it is, the host goes on
            failed = True
            self._log.tell("gate", "Tollkeeper's gate cannot ask the service.", error=error)
        self.down = failed
        self._tell(keys, returned, failed=failed)
        self._tell_released(failed=failed)
        if (keys or adopting) and not failed:
            self._settle_for_the_dead()
        self._shelf.tell(self._log)
        return not failed

    def _granted(self, request: LeaseRequest) -> LeaseAnswer:
        answer = self._leases.exchange(request)
        self.answered = time.monotonic()
        if len(answer.grants) != len(request.take):
            raise SinkError(f"The service granted {len(answer.grants)} of {len(request.take)} leases.")
        return answer

    def _settle_for_the_dead(self) -> None:
        try:
            for number, request in enumerate(self._shelf.left_by_others()):
                if number and self.book.hungry:  # the rest can wait, others cannot
                    break
                self._granted(request)
        except Exception as error:  # noqa: BLE001 - what they left may be such that no service takes it
            self._log.tell("gate_left", "Tollkeeper's gate cannot settle what a dead process used.", error=error)

    def _tell(self, keys: list[CallKey], returned: list[Waiter], *, failed: bool) -> None:
        with self.lock:
            self._asked = set()
            if failed:  # whoever waits, waits in vain
                keys = list(self._waiters)
                self.book.lost(keys)
                returned, self._returned = [*returned, *self._returned], []
            told = [*returned, *(waiter for key in keys for waiter in self._waiters.pop(key, []))]
        for waiter in told:
            waiter.failed = failed
            waiter.told()

    def _tell_released(self, *, failed: bool) -> None:
        with self.lock:
            released = self._released
            if released is None or (self.book.holds and not failed):
                return
            self._released = None
        released.set()


def _call(close: weakref.WeakMethod[Callable[[], None]]) -> None:
    if (method := close()) is not None:
        method()
