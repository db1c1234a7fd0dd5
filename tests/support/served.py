"""A real ``tollkeeper serve`` in a process of its own, to be loaded, killed and started again."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from typing import TYPE_CHECKING

import httpx

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

__all__ = ["Served", "environment", "run_cli", "served"]

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
    """A running service: ``url`` to reach it; ``folder`` is where it runs, this process's when None."""

    def __init__(
        self,
        store: str,
        port: int = 0,
        *,
        workers: int = 1,
        folder: Path | None = None,
        settings: Mapping[str, object] | None = None,
    ) -> None:
        self.store, self.workers, self.settings = store, workers, dict(settings or {})
        chosen = {f"TOLLKEEPER_{name.upper()}": str(value) for name, value in self.settings.items()}
        command = [sys.executable, "-m", "tollkeeper.cli", "serve", "--store", store, "--port", str(port)]
        self._printed = tempfile.TemporaryFile()  # noqa: SIM115  # closed when the process is over
        self._output = ""
        self.process = subprocess.Popen(
            [*command, "--workers", str(workers)],
            stdout=self._printed,
            stderr=subprocess.STDOUT,
            env=environment() | {"PYTHONUNBUFFERED": "1"} | chosen,
            cwd=folder,
        )
        self.url = self._wait()
        self.port = int(self.url.rpartition(":")[2])

    @property
    def output(self) -> str:
        """What it printed so far."""
        if not self._printed.closed:
            size = os.fstat(self._printed.fileno()).st_size
            self._output = os.pread(self._printed.fileno(), size, 0).decode()
        return self._output

    def kill(self) -> None:
        """End it as a power cut would: no warning, no clean-up."""
        self._end(signal.SIGKILL)

    def stop(self) -> int:
        """End it as Ctrl-C does, and give its exit code."""
        return self._end(signal.SIGINT)

    def _wait(self) -> str:
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline and self.process.poll() is None:
            if match := ADDRESS.search(self.output):
                with contextlib.suppress(httpx.HTTPError):
                    if httpx.get(f"{match[1]}/readyz", timeout=2).status_code == httpx.codes.OK:
                        return match[1]
            time.sleep(0.02)
        self.kill()
        raise AssertionError(f"serve did not become ready: {self.output}")

    def _end(self, number: signal.Signals) -> int:
        self.process.send_signal(number)
        code = self.process.wait(timeout=30)
        _ = self.output
        self._printed.close()
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
