"""Processes that serve on a free port of this machine, for as long as a block lasts."""

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

from tollkeeper.service.bootstrap import open_service
from tollkeeper.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["serving", "tollkeeper_serving"]

ADDRESS = re.compile(r"is at (http://\S+)")
START_SECONDS = 60
STOP_SECONDS = 60
TOKEN = "benchmark"


@contextlib.contextmanager
def serving(*command: str, python: Path | str = sys.executable) -> Iterator[str]:
    """Run a Python command that prints its address in its first line; gives the address, and ends it by Ctrl-C."""
    process = subprocess.Popen(
        [str(python), *command], stdout=subprocess.PIPE, text=True, env=_environment(), start_new_session=True
    )
    assert process.stdout is not None
    try:
        line = process.stdout.readline()
        match = ADDRESS.search(line)
        if not match:
            raise RuntimeError(f"{' '.join(command)} did not start: {line}{process.stdout.read()}")
        yield match[1]
    finally:
        process.send_signal(signal.SIGINT)
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        process.stdout.close()


@contextlib.contextmanager
def tollkeeper_serving(place: Path | str) -> Iterator[tuple[str, str]]:
    """Run ``tollkeeper serve`` on a file or a URL; gives its address and an admin's token, which ends with it."""
    store = place if isinstance(place, str) else f"sqlite:///{place}"
    service = open_service(Settings(store=store))
    try:
        service.catalog.revoke_token(TOKEN)  # of a run that was cut short
        secret = service.access.create_token(TOKEN, "admin")
        with serving("-m", "tollkeeper.cli", "serve", "--store", store, "--port", "0") as url:
            _wait_until_ready(url)
            yield url, secret
        service.catalog.revoke_token(TOKEN)
    finally:
        service.close()


def _wait_until_ready(url: str) -> None:
    until = time.monotonic() + START_SECONDS
    while time.monotonic() < until:
        with contextlib.suppress(httpx.HTTPError):
            if httpx.get(f"{url}/readyz", timeout=2).status_code == httpx.codes.OK:
                return
        time.sleep(0.05)
    raise RuntimeError(f"{url} did not become ready within {START_SECONDS} s.")


def _environment() -> dict[str, str]:
    """The environment of this process without the settings of whoever runs it."""
    mine = {name: value for name, value in os.environ.items() if not name.startswith("TOLLKEEPER_")}
    return mine | {"PYTHONUNBUFFERED": "1"}
