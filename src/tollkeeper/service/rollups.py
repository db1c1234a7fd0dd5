"""What the leader does: it keeps roll-ups and counters close behind the events, and runs the jobs."""

from __future__ import annotations

import logging
import multiprocessing
import signal
import threading
import time
from datetime import UTC, datetime
from multiprocessing import resource_tracker
from typing import TYPE_CHECKING

from tollkeeper.errors import StoreError
from tollkeeper.service.alerts.delivery import deliver
from tollkeeper.service.beats import Beat, start_beats
from tollkeeper.service.documents.mailing import deliver_emails
from tollkeeper.service.jobs import jobs_of
from tollkeeper.service.quota_folding import QuotaFolder, expire_holds
from tollkeeper.service.scheduler import Scheduler

if TYPE_CHECKING:
    from collections.abc import Callable
    from multiprocessing.connection import Connection
    from multiprocessing.process import BaseProcess

    from tollkeeper.service.bootstrap import Service
    from tollkeeper.settings import Settings
    from tollkeeper.store.protocols import EventStore

__all__ = ["FoldingProcess", "beats_of", "fold_all"]

FOLD_EVENTS = 100_000
IDLE_SECONDS = 0.5
DELIVERY_SECONDS = 1.0
END_SECONDS = 5.0
STOP_SECONDS = 10.0
ENDING = (signal.SIGINT, signal.SIGTERM)
log = logging.getLogger("tollkeeper")


def fold_all(store: EventStore) -> int:
    """Fold until nothing is left behind the watermark; how many events were folded."""
    folded = 0
    while count := store.fold(FOLD_EVENTS):
        folded += count
    return folded


def beats_of(service: Service) -> list[Beat]:
    """All that a leader does again and again."""
    folder = QuotaFolder(service.events, service.catalog, service.quotas)
    scheduler = Scheduler(service.catalog, jobs_of(service))

    def count() -> bool:
        started = time.time_ns() // 1_000
        more = folder.fold(FOLD_EVENTS) >= FOLD_EVENTS
        if not more:  # what was reported in time counts before what was reserved for it comes back
            expire_holds(service.quotas, started)
        return more

    return [
        Beat("Roll-ups", IDLE_SECONDS, lambda: service.events.fold(FOLD_EVENTS) == FOLD_EVENTS),
        Beat("Counters of limits", IDLE_SECONDS, count),
        Beat("Jobs", IDLE_SECONDS, scheduler.tick),
        Beat("Alerts", DELIVERY_SECONDS, lambda: deliver(service, datetime.now(UTC)) > 0),
        Beat("Letters", DELIVERY_SECONDS, lambda: deliver_emails(service, datetime.now(UTC)) > 0),
    ]


class FoldingProcess:
    """A process of its own for the beats, so that answering requests never waits for it; started again when it dies.

    Of several nodes on one store, only the process of the one that leads does the work; the others wait to take over.
    ``process_id`` is the one that is there now, None before the first and after ``stop``.
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
                _start_deaf(process)
                word.close()
                self.process_id = process.pid
                while process.is_alive() and not self._stop.wait(IDLE_SECONDS):
                    pass
            process.join(STOP_SECONDS)
            process.kill()
            process.join()
        self.process_id = None


def _start_deaf(process: BaseProcess) -> None:
    """Start a process that no signal ends while it still imports.

    A terminal or a supervisor may signal all processes at once. What a thread blocks, the process that it starts blocks
    from its first instruction on; the tracker is started before, because whoever starts it unblocks both signals.
    """
    resource_tracker.ensure_running()
    signal.pthread_sigmask(signal.SIG_BLOCK, ENDING)
    try:
        process.start()
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, ENDING)


def _fold_for_parent(settings: Settings, word: Connection) -> None:
    """The life of the folding process: until its parent closes the other end of a pipe, or ends without a word."""
    # When this process ends is its parent's to say. What was blocked until now is dropped with its handler.
    for number in ENDING:
        signal.signal(number, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, ENDING)
    from tollkeeper.service.bootstrap import leadership  # noqa: PLC0415  # bootstrap wires this module too

    service = _open(settings, word.poll)
    if service is None:
        return
    leading = leadership(settings)
    end = start_beats(beats_of(service), leading.lead)
    try:
        while not word.poll(IDLE_SECONDS):
            pass
    finally:
        end(END_SECONDS)
        leading.resign()
        service.close()


def _open(settings: Settings, wait: Callable[[float], bool]) -> Service | None:
    """Open the service, as soon as its store can be reached; None when the end came first."""
    from tollkeeper.service.bootstrap import open_service  # noqa: PLC0415  # bootstrap wires this module too

    while True:
        try:
            return open_service(settings)
        except StoreError as error:
            log.warning("Roll-ups, counters and jobs wait for the store: %s", error)
        if wait(IDLE_SECONDS):
            return None
