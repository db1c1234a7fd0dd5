"""What the leader does again and again, each in a thread of its own, without a record of it."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from msgspec import Struct

from tollkeeper.errors import StoreError

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Beat", "keep_beating", "start_beats"]

log = logging.getLogger("tollkeeper")


class Beat(Struct, frozen=True, eq=False):
    """``run`` is called every so many ``seconds``, and at once again when it says that there is more to do.

    Two processes may do the same for a moment: it must be right also then. ``late`` is what a failing store makes late.
    """

    late: str
    seconds: float
    run: Callable[[], bool]


def start_beats(beats: Sequence[Beat], leads: Callable[[], bool] = lambda: True) -> Callable[[float], None]:
    """Run beats in daemon threads while this process leads; returns what ends them and waits, so many seconds at most.

    A beat that is longer about its work than that ends by itself.
    """
    stop = threading.Event()
    threads = [
        threading.Thread(
            target=keep_beating, args=(beat, stop.wait, leads), name=f"tollkeeper {beat.late}", daemon=True
        )
        for beat in beats
    ]
    for thread in threads:
        thread.start()

    def end(seconds: float) -> None:
        stop.set()
        deadline = time.monotonic() + seconds
        for thread in threads:
            thread.join(max(deadline - time.monotonic(), 0))

    return end


def keep_beating(beat: Beat, wait: Callable[[float], bool], leads: Callable[[], bool]) -> None:
    """Run a beat until ``wait``, which is told how many seconds, says that it is over. Trouble is said once."""
    failed = ""
    while not wait(beat.seconds):
        try:
            while leads() and beat.run() and not wait(0):
                pass
            failed = ""
        except StoreError as error:
            if failed != error.detail:
                log.warning("%s are late: %s They will catch up.", beat.late, error)
            failed = error.detail
        except Exception:
            # The others go on, and so does this one: what failed may be one record.
            log.exception("%s are late, for a reason that should be reported.", beat.late)
