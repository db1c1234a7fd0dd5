"""Keeping the roll-ups close behind the events."""

from __future__ import annotations

import logging
import multiprocessing
import signal
import threading
from typing import TYPE_CHECKING

from tollkeeper.errors import StoreError

if TYPE_CHECKING:
    from collections.abc import Callable
    from multiprocessing.connection import Connection

    from tollkeeper.settings import Settings
    from tollkeeper.store.protocols import EventStore

__all__ = ["FoldingProcess", "fold_all", "start_folding_thread"]

FOLD_EVENTS = 100_000
IDLE_SECONDS = 0.5
STOP_SECONDS = 10.0
log = logging.getLogger("tollkeeper")


def fold_all(store: EventStore) -> int:
    """Fold until nothing is left behind the watermark; how many events were folded."""
    folded = 0
    while count := store.fold(FOLD_EVENTS):
        folded += count
    return folded


def start_folding_thread(store: EventStore) -> Callable[[], None]:
    """Fold in a daemon thread of this process; returns what stops it."""
    stop = threading.Event()
    thread = threading.Thread(target=_fold_until, args=(store, stop.wait), name="tollkeeper-fold", daemon=True)
    thread.start()

    def end() -> None:
        stop.set()
        thread.join()

    return end


class FoldingProcess:
    """A process of its own that folds, so that answering requests never waits for it; started again when it dies.

    ``process_id`` is the one that folds now, None before the first and after ``stop``.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._stop = threading.Event()
        self._context = multiprocessing.get_context("spawn")
        self.process_id: int | None = None
        self._watcher = threading.Thread(target=self._watch, name="tollkeeper-fold-watch", daemon=True)
        self._watcher.start()

    def stop(self) -> None:
        """End the process and wait for it."""
        self._stop.set()
        self._watcher.join()

    def _watch(self) -> None:
        while not self._stop.is_set():
            word, parent = self._context.Pipe(duplex=False)
            process = self._context.Process(target=_fold_for_parent, args=(self._settings, word), daemon=True)
            with parent:
                process.start()
                word.close()
                self.process_id = process.pid
                while process.is_alive() and not self._stop.wait(IDLE_SECONDS):
                    pass
            process.join(STOP_SECONDS)
            process.kill()
            process.join()
        self.process_id = None


def _fold_for_parent(settings: Settings, word: Connection) -> None:
    """The life of the folding process: until its parent closes the other end of a pipe, or ends without a word."""
    from tollkeeper.service.bootstrap import open_service  # noqa: PLC0415  # bootstrap wires this module too

    # A terminal or a supervisor may signal all processes at once; when this one ends is its parent's to say.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    service = open_service(settings)
    try:
        _fold_until(service.events, word.poll)
    finally:
        service.close()


def _fold_until(store: EventStore, wait: Callable[[float], bool]) -> None:
    while not wait(IDLE_SECONDS):
        try:
            while store.fold(FOLD_EVENTS) == FOLD_EVENTS and not wait(0):
                pass
        except StoreError as error:
            log.warning("Roll-ups are late: %s They will catch up.", error)
