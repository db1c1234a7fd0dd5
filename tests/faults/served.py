"""A real ``tollkeeper serve`` in a process of its own, to be loaded, killed and started again."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import httpx

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["Served", "run_cli", "served"]

ADDRESS = re.compile(r"Tollkeeper is at (http://\S+)")
START_SECONDS = 30


def environment() -> dict[str, str]:
    """The environment of this process without the settings of whoever runs the tests."""
    return {name: value for name, value in os.environ.items() if not name.startswith("TOLLKEEPER_")}


def run_cli(*arguments: str, check: bool = True, stdin: str | None = None) -> subprocess.CompletedProcess[str]:
    """Run a command of the terminal to its end."""
    return subprocess.run(
        [sys.executable, "-m", "tollkeeper.cli", *arguments],
        capture_output=True,
        text=True,
        check=check,
        input=stdin,
        env=environment(),
        timeout=120,
    )


class Served:
    """A running service: ``url`` to reach it, ``output`` that it printed at its start."""

    def __init__(self, store: str, port: int = 0, *, workers: int = 1) -> None:
        command = [sys.executable, "-m", "tollkeeper.cli", "serve", "--store", store, "--port", str(port)]
        self.process = subprocess.Popen(
            [*command, "--workers", str(workers)],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env=environment() | {"PYTHONUNBUFFERED": "1"},
        )
        assert self.process.stdout is not None
        self.output = self.process.stdout.readline()
        match = ADDRESS.search(self.output)
        if not match:
            self.kill()
            raise AssertionError(f"serve did not start: {self.output}{self.process.stdout.read()}")
        self.url = match[1]
        self.port = int(self.url.rpartition(":")[2])
        self._wait()

    def _wait(self) -> None:
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            with contextlib.suppress(httpx.HTTPError):
                if httpx.get(f"{self.url}/readyz", timeout=2).status_code == httpx.codes.OK:
                    return
            if self.process.poll() is not None:
                break
            time.sleep(0.02)
        self.kill()
        raise AssertionError("serve did not become ready")

    def kill(self) -> None:
        """End it as a power cut would: no warning, no clean-up."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()
        if self.process.stdout:
            self.process.stdout.close()

    def stop(self) -> int:
        """End it as Ctrl-C does, and give its exit code."""
        self.process.send_signal(signal.SIGINT)
        code = self.process.wait(timeout=30)
        if self.process.stdout:
            self.output += self.process.stdout.read()
            self.process.stdout.close()
        return code


@contextlib.contextmanager
def served(folder: Path, *, workers: int = 1) -> Iterator[tuple[Served, str]]:
    """A service on a store in ``folder``, and an admin token for it."""
    store = f"sqlite:///{folder}/store.db"
    service = Served(store, workers=workers)
    try:
        yield service, run_cli("token", "create", "--scope", "admin", "--store", store).stdout.strip()
    finally:
        if service.process.poll() is None:
            service.stop()
