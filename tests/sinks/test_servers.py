"""The harness of real servers: it ends what it started, and says why when it cannot start it."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from support.servers.process import ServerProcess, free_port, private_folder

pytestmark = pytest.mark.timeout(60)

LISTEN = (
    "import socket, sys, time; s = socket.create_server(('127.0.0.1', int(sys.argv[1]))); print('here'); time.sleep(99)"
)


def listening(port: int) -> None:
    socket.create_connection(("127.0.0.1", port), timeout=2).close()


def gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"


def test_it_is_started_stopped_killed_and_started_again_on_one_port() -> None:
    port, folder = free_port(), private_folder()
    server = ServerProcess([sys.executable, "-u", "-c", LISTEN, str(port)], lambda: listening(port), folder)
    server.stop()  # nothing runs yet
    for end in (server.stop, server.kill):
        server.start()
        server.start()
        listening(port)
        server.freeze()
        server.thaw()
        end()
        with pytest.raises(ConnectionRefusedError):
            listening(port)
    assert server.log == "here\nhere\n"
    server.start()
    server.close()
    server.close()
    assert not folder.exists()
    assert server.log == ""


def test_one_that_dies_is_told_at_once_with_what_it_printed() -> None:
    server = ServerProcess(
        [sys.executable, "-c", "raise SystemExit('no licence')"], lambda: listening(1), private_folder()
    )
    began = time.monotonic()
    with pytest.raises(AssertionError, match="no licence"):
        server.start()
    assert time.monotonic() - began < 5
    server.close()


def test_one_that_died_is_started_anew() -> None:
    port = free_port()
    server = ServerProcess([sys.executable, "-c", LISTEN, str(port)], lambda: listening(port), private_folder())
    server.start()
    assert server._process is not None
    os.kill(server._process.pid, signal.SIGKILL)
    server._process.wait(10)
    server.start()
    listening(port)
    server.close()


def test_what_a_killed_test_run_leaves_is_ended_and_removed(tmp_path: Path) -> None:
    script = f"""
        import os, signal, sys
        from support.servers.process import ServerProcess, free_port, private_folder
        port, folder = free_port(), private_folder()
        server = ServerProcess([sys.executable, "-c", {LISTEN!r}, str(port)], lambda: None, folder)
        server.start()
        print(folder, server._process.pid, flush=True)
        os.killpg(os.getpgid(0), signal.SIGTERM)
    """
    search = {"PYTHONPATH": str(Path(__file__).parents[1])}
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)],
        cwd=tmp_path,
        env=os.environ | search,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
        timeout=30,
        check=False,
    )
    folder, pid = done.stdout.split()
    until = time.monotonic() + 20
    while not gone(int(pid)) or Path(folder).exists():
        assert time.monotonic() < until
        time.sleep(0.05)
