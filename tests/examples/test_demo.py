from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

EXAMPLES = Path(__file__).parents[2] / "examples"
# As "python examples/demo.py", save that a tenth of the log tells the same.
DEMO = f"import sys; sys.path.insert(0, {str(EXAMPLES)!r}); import demo; demo.LOG_REQUESTS = 22_000; demo.main()"


def started(tmp_path: Path, *arguments: str) -> subprocess.Popen[str]:
    environ = os.environ | {"TMPDIR": str(tmp_path), "NO_COLOR": "1"}
    command = [sys.executable, "-c", DEMO, *arguments]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environ)


@pytest.fixture
def running(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    with started(tmp_path) as process:
        yield process
        if process.poll() is None:
            process.terminate()


def children(parent: int) -> list[int]:
    found = subprocess.run(["ps", "-o", "pid=", "--ppid", str(parent)], capture_output=True, text=True, check=False)
    return [int(pid) for pid in found.stdout.split()]


@pytest.mark.timeout(120)
def test_the_figures_add_up(tmp_path: Path) -> None:
    with started(tmp_path, "--once") as process:
        output, _ = process.communicate(timeout=110)
    assert process.returncode == 0, output
    assert "Every figure adds up" in output
    assert list(tmp_path.iterdir()) == []


@pytest.mark.timeout(120)
@pytest.mark.parametrize(("sent", "code"), [(signal.SIGINT, 0), (signal.SIGHUP, 1)])
def test_an_interrupt_or_a_closed_terminal_ends_all_that_was_started(
    running: subprocess.Popen[str], tmp_path: Path, sent: signal.Signals, code: int
) -> None:
    assert running.stdout is not None
    for line in running.stdout:
        if "Ctrl-C" in line:
            break
    pids = children(running.pid)
    assert len(pids) == 3
    running.send_signal(sent)
    running.stdout.read()
    assert running.wait(30) == code
    deadline = time.monotonic() + 5
    while any(Path(f"/proc/{pid}").exists() for pid in pids) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not [pid for pid in pids if Path(f"/proc/{pid}").exists()]
    assert list(tmp_path.iterdir()) == []
