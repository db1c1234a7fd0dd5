"""MongoDB's wire protocol for the tests: mongoeco, or the server at ``TOLLKEEPER_TEST_MONGODB``.

No mongod comes from a registry that everybody can reach. mongoeco needs Python >= 3.13, which nothing else does:
it is installed into an environment of its own in the user's cache folder, by ``requirements/mongoeco.txt``. On a
machine without such a Python its tests are skipped, even where everything else is required.
"""

from __future__ import annotations

import atexit
import fcntl
import hashlib
import itertools
import os
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pymongo
import pytest

from support.servers.process import ServerProcess, free_port, private_folder

__all__ = ["PASSWORD", "MongoDB", "mongodb"]

PASSWORD = "tests-own"
PINNED = Path(__file__).parents[3] / "requirements/mongoeco.txt"
SERVER = Path(__file__).with_name("mongoeco_server.py")
NEW_ENOUGH = "import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 13))"


class MongoDB:
    """``url`` is that of an administrator; ``process`` is None when the server is not ours to stop."""

    def __init__(self, url: str, process: ServerProcess | None) -> None:
        self.url = url
        self.process = process
        self._numbers = itertools.count()

    def connect(self, url: str = "") -> pymongo.MongoClient[dict[str, Any]]:
        """Connect with the driver."""
        return pymongo.MongoClient(url or self.url, timeoutMS=5000, tz_aware=True)

    def fresh_database(self) -> str:
        """Name an empty database, and give the URL of it; on a server that is not ours, it is dropped at exit."""
        name = f"tollkeeper_{os.getpid()}_{next(self._numbers)}"
        self._drop(name)
        if self.process is None:
            atexit.register(self._drop, name)
        return urlsplit(self.url)._replace(path=f"/{name}").geturl()

    def _drop(self, name: str) -> None:
        with self.connect() as client:
            client.drop_database(name)


def mongodb() -> MongoDB:
    """The one server of this process, running; started at the first call, ended at exit. Skips when there is none."""
    server = _shared()
    if server.process is not None:
        server.process.start()
    return server


@cache
def _shared() -> MongoDB:
    if address := os.environ.get("TOLLKEEPER_TEST_MONGODB"):
        return MongoDB(address, None)
    python = _environment()
    # It waits for the disk at each document, several times: in memory, what it holds still outlives its process.
    folder = private_folder(at="/dev/shm" if os.access("/dev/shm", os.W_OK) else None)
    port = free_port()
    options = "directConnection=true&authSource=admin&authMechanism=SCRAM-SHA-256"
    made = MongoDB(f"mongodb://tester:{PASSWORD}@127.0.0.1:{port}/?{options}", None)

    def answers() -> None:
        with made.connect() as client:
            client.admin.command("ping")

    made.process = ServerProcess([python, SERVER, str(port), folder / "data.db", "tester", PASSWORD], answers, folder)
    return made


def _environment() -> Path:
    """The Python that has mongoeco, installed when it is not there yet; by one process at a time."""
    found = next(filter(_new_enough, _candidates()), None)
    if found is None:
        pytest.skip("mongoeco needs Python >= 3.13, and there is none on this machine")
    version = hashlib.sha256(PINNED.read_bytes() + str(found).encode()).hexdigest()[:16]
    cached = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "tollkeeper-tests"
    cached.mkdir(parents=True, exist_ok=True)
    folder, done = cached / f"mongoeco-{version}", cached / f"mongoeco-{version}.done"
    with (cached / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not done.exists():
            shutil.rmtree(folder, ignore_errors=True)
            _run(found, "-m", "venv", folder)
            pip = ("-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--require-hashes")
            _run(folder / "bin/python", *pip, "-r", PINNED)
            done.touch()
    return folder / "bin/python"


def _run(*command: str | Path) -> None:
    done = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stderr


def _candidates() -> list[Path]:
    """Pythons by name, pyenv's among them, which are not in the PATH unless they are chosen."""
    names = [f"python3.{minor}" for minor in range(20, 12, -1)] + ["python3", "python"]
    root = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv")
    installed = sorted(root.glob("versions/3.*/bin/python"), reverse=True)
    return [Path(sys.executable), *(Path(path) for name in names if (path := shutil.which(name))), *installed]


def _new_enough(python: Path) -> bool:
    # pyenv leaves commands in the PATH that only say that they are not there.
    done = subprocess.run([python, "-c", NEW_ENOUGH], capture_output=True, timeout=30, check=False)
    return done.returncode == 0
