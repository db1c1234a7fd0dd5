"""A real server in a process of its own, that serves an app of the table with or without Tollkeeper."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from conformance.capture.case import OLDEST
from conformance.capture.doors import COMMANDS
from support.served import environment
from support.unwatched import unwatched_environment

if TYPE_CHECKING:
    from conformance.capture.case import Run

__all__ = ["Server"]

ROOT = Path(__file__).parents[3]
APP = "conformance.capture.apps.serving:app"
ADDRESS = re.compile(r"http://127\.0\.0\.1:(\d+)")
SECONDS = 30
EVENT_SECONDS = 10


class Server:
    """A server that was started; ``wait`` before the first request.

    ``TOLLKEEPER_TEST_OLDEST`` names another interpreter for it, with other versions of the frameworks.
    """

    def __init__(self, run: Run, folder: Path, *, watched: bool, flush_seconds: float = 0.01) -> None:
        folder.mkdir(parents=True)
        self._log = folder / "log"
        self._events = folder / "events.jsonl"
        python = os.environ.get(OLDEST) or sys.executable
        more = {"SHOP_APP": run.app, "PYTHONHASHSEED": "0", "PYTHONPATH": f"{ROOT / 'src'}{os.pathsep}{ROOT / 'tests'}"}
        if watched:
            more |= {"SHOP_EVENTS": str(self._events), "TOLLKEEPER_FLUSH_SECONDS": str(flush_seconds)}
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                [python, "-m", *COMMANDS[run.place], APP],
                cwd=folder,
                env=unwatched_environment(environment()) | more,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        self.port = 0

    def wait(self) -> None:
        """Wait until it says where it listens."""
        until = time.monotonic() + SECONDS
        while not self.port:
            found = ADDRESS.search(self.log())
            assert self._process.poll() is None, self.log()
            assert time.monotonic() < until, self.log()
            self.port = int(found[1]) if found else 0
            time.sleep(0.02)

    def log(self) -> str:
        """What it printed so far."""
        return self._log.read_text(errors="replace")

    def events(self, agent: str | None = None) -> list[dict[str, Any]]:
        """The events that have come so far, in the order in which they began; of one user agent, or all."""
        lines = self._events.read_bytes().split(b"\n")[:-1] if self._events.exists() else []
        events = [json.loads(line) for line in lines]
        found = [event for event in events if agent is None or event["client"].get("user_agent") == agent]
        return sorted(found, key=lambda event: str(event["time"]))

    def wait_for_events(self, agent: str, count: int) -> list[dict[str, Any]]:
        """Wait until that many have come, but not for ever."""
        until = time.monotonic() + EVENT_SECONDS
        while len(found := self.events(agent)) < count and time.monotonic() < until:
            time.sleep(0.005)
        return found

    def stop(self) -> int:
        """End it as a deployment does, and give its exit code."""
        self._process.send_signal(signal.SIGTERM)
        try:
            return self._process.wait(SECONDS)
        finally:
            self._process.kill()
            self._process.wait()
