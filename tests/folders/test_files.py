from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
import weakref
from typing import TYPE_CHECKING

import pytest

from support.children import in_child
from support.spooled import wait_for
from tollkeeper.errors import ConfigurationError
from tollkeeper.folders import files as spool_files
from tollkeeper.folders.files import Files

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")


def is_open(fd: int) -> bool:
    try:
        os.fstat(fd)
    except OSError:
        return False
    return True


def test_a_claim_is_held_until_it_is_closed(tmp_path: Path) -> None:
    one, two = Files(), Files()
    claim = one.claim(tmp_path)
    assert claim is not None
    assert two.claim(tmp_path) is None
    assert one.claim(tmp_path) is None
    one.close(claim)
    again = two.claim(tmp_path)
    assert again is not None
    one.close(again)  # not its own
    assert is_open(again)
    two.close(again)
    assert not is_open(again)


def test_a_claim_on_what_was_removed_meanwhile_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    flock = spool_files.fcntl.flock

    def remove(fd: int, operation: int) -> None:
        flock(fd, operation)
        folder.rmdir()

    monkeypatch.setattr("tollkeeper.folders.files.fcntl.flock", remove)
    assert Files().claim(folder) is None
    with pytest.raises(FileNotFoundError):
        Files().claim(folder)


def test_a_link_is_not_claimed(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OSError, match="link"):
        Files().claim(tmp_path / "link")


def test_a_child_has_no_part_in_what_its_parent_holds(tmp_path: Path) -> None:
    files = Files()
    claim = files.claim(tmp_path)
    file = files.open(tmp_path / "file", os.O_RDWR | os.O_CREAT)
    assert claim is not None

    def work() -> bool:
        files.close(claim)  # a number that may be somebody else's by now
        return not is_open(claim) and not is_open(file) and files.claim(tmp_path) is None

    assert in_child(work) == 0
    assert is_open(claim)
    assert is_open(file)
    assert Files().claim(tmp_path) is None
    files.close(claim)
    files.close(file)


def test_a_parent_that_dies_leaves_nothing_claimed_by_a_child_that_lives(tmp_path: Path) -> None:
    read, write = os.pipe()
    child = os.fork()
    if not child:
        try:
            files = Files()
            files.claim(tmp_path)
            if not os.fork():
                os.write(write, f"{os.getpid()}\n".encode())
            time.sleep(60)
        finally:
            os._exit(1)
    with os.fdopen(read) as lines:
        os.close(write)
        grandchild = int(lines.readline())
        try:
            assert Files().claim(tmp_path) is None
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            claimed = Files()
            claim = claimed.claim(tmp_path)
            assert claim is not None
            claimed.close(claim)
        finally:
            os.kill(grandchild, signal.SIGKILL)


def test_a_fork_waits_for_a_file_that_is_being_opened_but_not_for_ever(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spool_files, "FORK_WAIT_SECONDS", 0.2)
    files = Files()
    claim = files.claim(tmp_path)
    assert claim is not None
    held, release = threading.Event(), threading.Event()

    def hold() -> None:
        with files._lock:
            held.set()
            release.wait(20)

    thread = threading.Thread(target=hold)
    thread.start()
    held.wait(20)
    other = os.open(tmp_path, os.O_RDONLY)

    def work() -> bool:
        # It cannot know which numbers are its own, so it closes none; but it can go on.
        return is_open(claim) and files.claim(tmp_path) is None and is_open(other)

    assert in_child(work) == 0
    release.set()
    thread.join()
    assert in_child(lambda: not is_open(claim)) == 0
    os.close(other)
    files.close(claim)


def test_forks_of_many_threads_at_once_leave_the_lock_free(tmp_path: Path) -> None:
    files = Files()
    codes: list[int] = []

    def fork() -> None:
        codes.extend(in_child(lambda: files.open(tmp_path / "x", os.O_RDWR | os.O_CREAT) > 0) for _ in range(10))

    threads = [threading.Thread(target=fork) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert codes == [0] * 40
    files.close(files.open(tmp_path / "x", os.O_RDWR))


def test_what_a_child_inherits_is_closed_in_it_and_it_starts_anew(tmp_path: Path) -> None:
    files = Files()
    claim = files.claim(tmp_path)
    assert claim is not None
    files._before_fork()  # as if this process were the child
    files._after_fork_in_child()
    assert not is_open(claim)
    again = files.claim(tmp_path)
    assert again is not None
    files.close(again)


def test_a_child_that_cannot_know_what_is_its_own_closes_nothing(tmp_path: Path) -> None:
    files = Files()
    claim = files.claim(tmp_path)
    assert claim is not None
    files._after_fork_in_child()
    assert is_open(claim)
    assert files.claim(tmp_path) is None
    os.close(claim)


def test_files_that_are_forgotten_do_not_stay_for_the_sake_of_forks() -> None:
    files = Files()
    reference = weakref.ref(files)
    del files
    wait_for(lambda: reference() is None)
    assert in_child(lambda: True) == 0


def test_without_forks_there_is_nothing_to_call(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "register_at_fork")
    files = Files()
    assert in_child(lambda: True) == 0
    assert files._forking_thread == 0


def test_a_platform_without_flock_is_told_so() -> None:
    script = """
import sys
sys.modules["fcntl"] = None
from tollkeeper.capture.spool.spool import Spool
from tollkeeper.errors import ConfigurationError
try:
    Spool("x")
except ConfigurationError as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60)
    assert "flock" in done.stdout


def test_without_flock_nothing_is_made(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spool_files, "fcntl", None)
    with pytest.raises(ConfigurationError, match="leave out 'spool'"):
        Files()
