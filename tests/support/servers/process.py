"""A server as a child process, on a free port of 127.0.0.1, with its data in a folder of its own."""

from __future__ import annotations

import atexit
import contextlib
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = ["ServerProcess", "free_port", "private_folder"]

START_SECONDS = STOP_SECONDS = 30.0
# What is left when the tests are killed: this waits for a line, or the end of the pipe, kills the server, removes its
# folder. A line, because a child of a fork, which some test has left, may hold the pipe open.
REAPER = 'read -r _; read -r pid <"$0/pid" && kill -9 "$pid" 2>/dev/null; rm -rf "$0"'


def free_port() -> int:
    """A port that nobody listens at."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port: int = unused.getsockname()[1]
        return port


def private_folder(user: str | None = None, *, at: str | None = None) -> Path:
    """A new folder with a short path, which belongs to ``user``; its ``ServerProcess`` removes it."""
    folder = Path(tempfile.mkdtemp(prefix="tk-", dir=at))  # not in pytest's, which other users may not enter
    if user:
        shutil.chown(folder, user)
    return folder


class ServerProcess:
    """Runs ``command`` from ``start`` to ``stop`` or ``kill``, as often as wanted, over the data in ``folder``.

    ``answers`` asks the server something with its real client, and raises until that works. What the server prints is
    in ``log``. When the tests end in whatever way, even killed, the server ends and the folder is removed.
    """

    def __init__(
        self,
        command: Sequence[str | Path],
        answers: Callable[[], object],
        folder: Path,
        *,
        user: str | None = None,
        stop_signal: signal.Signals = signal.SIGTERM,
        quit_signal: signal.Signals = signal.SIGKILL,
    ) -> None:
        self._command = [str(part) for part in command]
        self._answers = answers
        self._folder = folder
        self._user = user
        self._stop_signal = stop_signal
        self._quit_signal = quit_signal
        self._process: subprocess.Popen[bytes] | None = None
        self._note_pid("")
        self._reaper = subprocess.Popen(
            ["sh", "-c", REAPER, str(folder)],
            stdin=subprocess.PIPE,
            start_new_session=True,  # what ends the whole group of the tests is not to end it too
        )
        self._owner = os.getpid()
        atexit.register(self.close)

    @property
    def log(self) -> str:
        """What it has printed since it was first started."""
        with contextlib.suppress(FileNotFoundError):
            return (self._folder / "log").read_text(errors="replace")
        return ""

    def start(self) -> None:
        """Start it and wait until it answers; one that runs already is only thawed."""
        if self._process is not None and self._process.poll() is None:
            self.thaw()
            return
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                self._command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self._folder,
                user=self._user,
                group=pwd.getpwnam(self._user).pw_gid if self._user else None,
                extra_groups=[] if self._user else None,
            )
        self._note_pid(str(self._process.pid))
        until = time.monotonic() + START_SECONDS
        while True:
            if self._process.poll() is not None:
                self._gone()
                raise AssertionError(f"{self._command[0]} has died: {self.log[-2000:]}")
            try:
                self._answers()
            except Exception as error:
                if time.monotonic() > until:
                    self.kill()
                    raise AssertionError(f"{self._command[0]} does not answer: {self.log[-2000:]}") from error
                time.sleep(0.05)
            else:
                return

    def stop(self) -> None:
        """End it in order; its port and data stay for a later ``start``."""
        self._end(self._stop_signal)

    def kill(self) -> None:
        """End it with all its processes, as a power cut would."""
        self.freeze()  # so that no process starts while they are listed
        orphans = [] if self._process is None else _children(self._process.pid)
        self._end(signal.SIGKILL)
        for pid in orphans:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        until = time.monotonic() + STOP_SECONDS
        while any(_runs(pid) for pid in orphans):  # a successor finds nothing that is still in use
            assert time.monotonic() < until, f"{self._command[0]} leaves processes behind"
            time.sleep(0.005)

    def freeze(self) -> None:
        """Let it hang with all its processes, connections open, until ``thaw``."""
        self._signal_all(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it run on after ``freeze``."""
        self._signal_all(signal.SIGCONT)

    def close(self) -> None:
        """End it and remove its folder; at exit at the latest."""
        if self._owner != os.getpid():  # a fork that runs what is to be done at exit
            return
        atexit.unregister(self.close)
        if self._process is not None:
            self.thaw()
            self._end(self._quit_signal)  # at once: its data goes with it, and pytest-xdist does not wait for long
        if self._reaper.returncode is None:
            self._reaper.communicate(b"\n", STOP_SECONDS)

    def _signal_all(self, number: signal.Signals) -> None:
        if self._process is None:
            return
        self._process.send_signal(number)
        for pid in _children(self._process.pid):  # each may be a session of its own
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)

    def _end(self, number: signal.Signals) -> None:
        if self._process is None:
            return
        self._process.send_signal(number)
        try:
            self._process.wait(STOP_SECONDS)
        finally:
            self._process.kill()  # does nothing to one that has ended
            self._gone()

    def _gone(self) -> None:
        self._process = None
        self._note_pid("")

    def _note_pid(self, pid: str) -> None:
        (self._folder / "pid").write_text(f"{pid}\n", encoding="ascii")


def _runs(pid: int) -> bool:
    """Whether a process is there and has not ended, though nobody may have asked yet how it did."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state not in "ZX"


def _children(pid: int) -> list[int]:
    """The processes that one started, as Linux tells them."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            if int(path.read_text(errors="replace").rpartition(")")[2].split()[1]) == pid:
                found.append(int(path.parent.name))
    return found
