"""Call a watched Flask app very often, and say how much memory the process has after a tenth of that and at the end.

``python -m benchmarks.memory_worker VARIANT REQUESTS`` prints one line of JSON. No two requests have the same path, key
and id, and only a few the same user agent, so that whatever is kept for each of them shows.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.capture_app import call
from benchmarks.capture_ours import OURS, tollkeeper
from benchmarks.capture_worker import settle
from tollkeeper.errors import SinkError

if TYPE_CHECKING:
    from collections.abc import Callable, Sized

    from benchmarks.capture_app import Watched

__all__ = ["main", "memory_bytes"]

BLOCK = 2_000
SAME_AGENT = 20
STATM = Path("/proc/self/statm")


class DownSink:
    """Takes nothing, and asks for everything again."""

    def send(self, events: Sized) -> None:
        raise SinkError(f"It is down, {len(events)} events wait.")

    def close(self) -> None:
        """Do nothing."""


VARIANTS: dict[str, Callable[[Path], Watched]] = {
    "bare": OURS["bare"],
    "bodies-null": OURS["bodies-null"],
    "bodies-down": tollkeeper("bodies", DownSink()),
}


def memory_bytes() -> int:
    """What is resident of this process; raises FileNotFoundError where there is no ``/proc``."""
    return int(STATM.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def main(variant: str, requests: int) -> None:
    figures: dict[str, int | None] = {}
    with tempfile.TemporaryDirectory() as folder:
        watched = VARIANTS[variant](Path(folder))
        for number in range(1, requests + 1):
            call(watched.app, _changes(number))
            if number % BLOCK == 0 and variant != "bodies-down":
                settle(watched)  # or the queue would be full, as it is when the sink is down
            if number in {requests // 10, requests}:
                figures["early" if number < requests else "late"] = memory_bytes()
        figures["recorded"] = watched.recorded()
    sys.stdout.write(json.dumps(figures) + "\n")


def _changes(number: int) -> dict[str, Any]:
    return {
        "PATH_INFO": f"/v1/orders/{number}",
        "HTTP_X_API_KEY": f"key-{number}",
        "HTTP_X_REQUEST_ID": f"0193b3f0-0000-7000-8000-{number:012}",
        "HTTP_USER_AGENT": f"shop/{number // SAME_AGENT} (X11; Linux x86_64)",
    }


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
