from __future__ import annotations

import errno
import os
import shutil
import stat
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from support.spooled import drain, events, segments
from tollkeeper.capture.spool.spool import Spool
from tollkeeper.errors import ConfigurationError
from tollkeeper.folders.files import Files, sync

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "spool"


@pytest.fixture
def spool(path: Path) -> Iterator[Spool]:
    made = Spool(path)
    yield made
    made.close()


def append_all(spool: Spool, *names: object) -> None:
    for name in names:
        assert spool.append(events(name))


def test_what_was_appended_is_given_in_order_until_it_is_settled(spool: Spool, path: Path) -> None:
    append_all(spool, 1, 2)
    batch = spool.next_batch(10, 2**20)
    assert batch is not None
    assert (batch.events, batch.own, batch.lost, batch.corrupt_bytes) == (events(1, 2), True, 0, 0)
    again = spool.next_batch(10, 2**20)
    assert again is not None
    assert again.events == batch.events
    append_all(spool, 3)
    spool.settle(batch)
    assert drain(spool) == ["3"]
    assert spool.next_batch(10, 2**20) is None
    (file,) = segments(path)
    assert file.stat().st_size == 0
    append_all(spool, 4)
    assert segments(path) == [file]
    assert drain(spool) == ["4"]


def test_nothing_is_left_of_a_spool_that_is_empty(spool: Spool, path: Path) -> None:
    append_all(spool, 1)
    drain(spool)
    spool.close()
    assert list(path.iterdir()) == []
    append_all(spool, 2)
    assert drain(spool) == ["2"]


def test_batches_go_together_as_long_as_they_fit(spool: Spool) -> None:
    for count in (2, 2, 2, 5, 1):
        spool.append(events(*range(count), size=1000))
    sizes = []
    while batch := spool.next_batch(4, 2**20):
        sizes.append(len(batch.events))
        spool.settle(batch)
    assert sizes == [4, 2, 5, 1]
    for _ in range(4):
        spool.append(events(1, size=1000))
    batch = spool.next_batch(100, 2500)
    assert batch is not None
    assert len(batch.events) == 2


def test_a_full_segment_is_followed_by_another_and_removed_when_it_was_read(path: Path) -> None:
    spool = Spool(path, segment_bytes=1000)
    append_all(spool, *range(30))
    files = segments(path)
    assert len(files) > 3
    assert max(file.stat().st_size for file in files) <= 1000
    assert len(spool._files._open) == 2  # a host has not many files to open: its folder, and the last one
    assert drain(spool, limit=1) == [str(number) for number in range(30)]
    assert segments(path) == files[-1:]
    spool.close()
    assert list(path.iterdir()) == []


def test_what_is_larger_than_a_segment_has_one_to_itself(path: Path) -> None:
    spool = Spool(path, segment_bytes=100)
    for name in (1, 2):
        assert spool.append(events(name, size=5000))
    assert len(segments(path)) == 2
    assert drain(spool) == ["1", "2"]
    spool.close()


def test_the_next_one_adopts_what_was_left_and_only_what_was_not_settled(spool: Spool, path: Path) -> None:
    append_all(spool, *range(10))
    batch = spool.next_batch(4, 2**20)
    assert batch is not None
    spool.settle(batch)
    spool.close()

    following = Spool(path)
    assert following.adopt() == 6
    batch = following.next_batch(100, 2**20)
    assert batch is not None
    assert not batch.own
    assert drain(following) == ["4", "5", "6", "7", "8", "9"]
    assert list(path.iterdir()) == []
    following.close()


def test_what_somebody_still_writes_or_reads_is_not_adopted(path: Path) -> None:
    one, two, three = Spool(path), Spool(path), Spool(path)
    append_all(one, 1)
    append_all(two, 2)
    assert three.adopt() == 0
    one.close()
    three._look_at = 0
    assert three.adopt() == 1
    two._look_at = 0
    assert two.adopt() == 0  # it is in the hands of the third now
    assert drain(two) == ["2"]
    assert drain(three) == ["1"]
    for spool in (one, two, three):
        spool.close()
    assert list(path.iterdir()) == []


def test_the_dead_are_adopted_one_at_a_time_and_in_turn_with_what_is_new(path: Path) -> None:
    known: set[Path] = set()
    for moment, names in enumerate(("ab", "cd")):
        dead = Spool(path)
        append_all(dead, *names)
        (folder,) = set(path.iterdir()) - known
        dead.close()
        os.utime(folder, (moment, moment))
        known.add(folder)
    spool = Spool(path)
    append_all(spool, 1, 2)
    assert spool.adopt() == 2
    assert spool.adopt() == 0
    assert drain(spool, limit=1) == ["1", "a", "2", "b", "c", "d"]
    spool.close()


def test_only_what_is_its_own_when_so_asked(path: Path) -> None:
    dead = Spool(path)
    append_all(dead, "old")
    dead.close()
    spool = Spool(path)
    assert spool.adopt() == 1
    assert spool.next_batch(10, 2**20, own=True) is None
    spool.close()
    assert drain(Spool(path)) == ["old"]


def test_it_does_not_look_around_all_the_time(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spool = Spool(path)
    assert spool.adopt() == 0
    monkeypatch.setattr("tollkeeper.capture.spool.spool.folders_in", lambda _: pytest.fail("looked"))
    assert spool.adopt() == 0


def test_a_full_spool_takes_nothing_until_there_is_room(path: Path) -> None:
    spool = Spool(path, max_bytes=3000)
    taken = 0
    while spool.append(events(taken)):
        taken += 1
    assert taken > 5
    assert sum(file.stat().st_size for file in segments(path)) <= 3000
    other = Spool(path, max_bytes=3000)  # the limit is on the folder that all share
    assert not other.append(events("other"))
    assert drain(spool) == [str(number) for number in range(taken)]
    assert other.append(events("other"))
    spool.close()
    other.close()


def test_it_adds_up_all_files_now_and_then_only(spool: Spool, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    looks: list[Path] = []

    def look(at: Path) -> int:
        looks.append(at)
        return 0

    monkeypatch.setattr("tollkeeper.capture.spool.spool.bytes_in", look)
    append_all(spool, *range(20))
    assert looks == [path]
    spool._measure_at = 0
    append_all(spool, 20)
    assert looks == [path, path]


def test_many_threads_append_while_one_reads(path: Path) -> None:
    spool = Spool(path, segment_bytes=2000)
    threads = [
        threading.Thread(target=append_all, args=(spool, *range(start, start + 50))) for start in range(0, 200, 50)
    ]
    for thread in threads:
        thread.start()
    found: list[str] = []
    while any(thread.is_alive() for thread in threads) or len(found) < 200:
        found += drain(spool, limit=7)
    assert sorted(found, key=int) == [str(number) for number in range(200)]
    spool.close()


def test_others_can_read_neither_folders_nor_files(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        spool = Spool(tmp_path / "deep" / "spool")
        append_all(spool, 1)
    finally:
        os.umask(before)
    (file,) = segments(spool.path)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700
    assert stat.S_IMODE(spool.path.stat().st_mode) == 0o700
    spool.close()


def test_a_later_chdir_does_not_move_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    spool = Spool("here")
    monkeypatch.chdir("/")
    append_all(spool, 1)
    assert len(segments(tmp_path / "here")) == 1
    spool.close()


def test_a_place_that_cannot_be_is_refused_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    for place in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(ConfigurationError, match="Name another"):
            Spool(place)
    assert not (tmp_path / "later").exists()
    monkeypatch.setattr(os, "access", lambda *_: False)
    with pytest.raises(ConfigurationError, match="may write"):
        Spool(tmp_path / "later")


def failing(number: int, times: int = 1) -> Callable[..., Any]:
    """A call of the system that fails so often, and then is as it was."""
    left = [times]

    def call(original: Callable[..., Any]) -> Callable[..., Any]:
        def fail(*arguments: Any) -> Any:
            left[0] -= 1
            if left[0] >= 0:
                raise OSError(number, os.strerror(number))
            return original(*arguments)

        return fail

    return call


@pytest.mark.parametrize("truncates", [True, False], ids=["", "and cannot be cut back"])
def test_what_could_not_be_written_to_its_end_is_not_there(
    spool: Spool, path: Path, monkeypatch: pytest.MonkeyPatch, *, truncates: bool
) -> None:
    append_all(spool, 1)
    write = os.pwrite
    sizes = iter([40, 40])

    def pwrite(fd: int, data: bytes, offset: int) -> int:
        size = next(sizes, None)
        if size is None:
            raise OSError(errno.ENOSPC, "No space left on device")
        return write(fd, data[:size], offset)

    with monkeypatch.context() as patch:
        patch.setattr(os, "pwrite", pwrite)
        if not truncates:
            patch.setattr(os, "ftruncate", failing(errno.EIO, 9)(os.ftruncate))
        with pytest.raises(OSError, match="No space"):
            spool.append(events(2))
    append_all(spool, 3)
    assert len(segments(path)) == (1 if truncates else 2)
    batch = spool.next_batch(10, 2**20)
    assert batch is not None
    assert (batch.lost, batch.corrupt_bytes) == (0, 0)
    assert drain(spool) == ["1", "3"]
    assert list(path.glob("*.bad")) == []


def test_what_did_not_reach_the_disk_is_not_there(spool: Spool, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr("tollkeeper.capture.spool.segment.sync", failing(errno.EIO)(sync))
        with pytest.raises(OSError, match="Input/output"):
            spool.append(events(1))
    append_all(spool, 2)
    assert drain(spool) == ["2"]


def test_a_segment_whose_name_did_not_reach_the_disk_is_not_used(
    spool: Spool, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    append_all(spool, 1)
    spool._segment_bytes = 10
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", failing(errno.EIO)(os.fsync))
        with pytest.raises(OSError, match="Input/output"):
            spool.append(events(2))
    assert len(segments(path)) == 1
    append_all(spool, 3)
    assert drain(spool) == ["1", "3"]


def test_a_folder_that_somebody_removes_is_made_anew_and_what_is_open_is_still_read(spool: Spool, path: Path) -> None:
    append_all(spool, 1)
    shutil.rmtree(path)
    append_all(spool, 2)
    assert sorted(drain(spool)) == ["1", "2"]
    assert len(spool._logs) == 1
    shutil.rmtree(path)  # while nothing waits
    append_all(spool, 3)
    assert drain(spool) == ["3"]
    assert len(spool._logs) == 1


def test_a_file_that_somebody_removes_is_still_read_as_long_as_it_is_open(path: Path) -> None:
    spool = Spool(path, segment_bytes=10)
    append_all(spool, 1, 2)
    for file in segments(path):
        file.unlink()
    append_all(spool, 3)
    batch = spool.next_batch(10, 2**20)
    assert batch is not None
    assert (batch.events, batch.lost) == ([], 1)  # the first was full, and so closed
    assert drain(spool) == ["2", "3"]
    spool.close()


def test_what_cannot_be_removed_is_not_sent_again_and_again(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    dead = Spool(path)
    append_all(dead, 1)
    dead.close()
    spool = Spool(path)
    with monkeypatch.context() as patch:
        patch.setattr(Path, "unlink", failing(errno.EROFS)(Path.unlink))
        assert drain(spool) == ["1"]
    spool._look_at = 0
    assert drain(spool) == []
    following = Spool(path)
    assert drain(following) == []  # it is marked as sent
    assert list(path.iterdir()) == []


def test_a_folder_in_which_somebody_keeps_a_file_stays(path: Path) -> None:
    dead = Spool(path)
    append_all(dead, 1)
    dead.close()
    (folder,) = path.iterdir()
    (folder / "mine.txt").write_text("mine")
    (path / "notes").mkdir()
    (path / "notes" / "00000001.spool").write_text("not ours")
    (path / "12-00112233aabbccdd").write_text("not a folder")
    spool = Spool(path)
    assert drain(spool) == ["1"]
    assert sorted(file.name for file in path.glob("**/*") if file.is_file()) == [
        "00000001.spool",
        "12-00112233aabbccdd",
        "mine.txt",
    ]


def test_what_another_user_left_is_not_touched(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    dead = Spool(path)
    append_all(dead, 1)
    dead.close()
    with monkeypatch.context() as patch:
        patch.setattr(os, "geteuid", lambda: 12345)
        assert drain(Spool(path)) == []
        patch.setattr(os, "open", failing(errno.EACCES)(os.open))
        assert drain(Spool(path)) == []
    assert drain(Spool(path)) == ["1"]


def test_trouble_that_passes_costs_nothing(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    dead = Spool(path, segment_bytes=10)
    append_all(dead, 1, 2)
    dead.close()
    spool = Spool(path)
    open_file = Files.open
    with monkeypatch.context() as patch:
        patch.setattr(Files, "open", failing(errno.EMFILE)(open_file))
        with pytest.raises(OSError, match="Too many open files"):
            spool.adopt()
    spool._look_at = 0
    assert spool.adopt() == 2
    with monkeypatch.context() as patch:
        patch.setattr(Files, "open", failing(errno.EMFILE)(open_file))
        with pytest.raises(OSError, match="Too many open files"):
            spool.next_batch(10, 2**20)
    assert drain(spool) == ["1", "2"]
    assert list(path.iterdir()) == []


def test_a_folder_that_is_taken_away_before_it_is_claimed_is_made_again(
    spool: Spool, monkeypatch: pytest.MonkeyPatch
) -> None:
    claim = Files.claim
    answers: list[Any] = [FileNotFoundError(errno.ENOENT, "gone"), None]

    def contested(files: Files, folder: Path) -> int | None:
        if not answers:
            return claim(files, folder)
        folder.rmdir()
        answer = answers.pop()
        if answer is not None:
            raise answer
        return None

    monkeypatch.setattr(Files, "claim", contested)
    append_all(spool, 1)
    assert drain(spool) == ["1"]
    spool.close()
    answers += [None] * 100
    with pytest.raises(OSError, match="does not keep"):
        spool.append(events(2))


def test_a_file_system_without_flock_is_said_and_nothing_is_left(
    spool: Spool, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tollkeeper.folders.files.fcntl.flock", failing(errno.ENOLCK, 1)(print))
    with pytest.raises(OSError, match="locks"):
        spool.append(events(1))
    assert list(path.iterdir()) == []


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_child_of_a_fork_has_nothing_and_makes_a_folder_of_its_own(spool: Spool, path: Path) -> None:
    append_all(spool, "parent")
    child = os.fork()
    if not child:
        code = 1
        try:
            append_all(spool, "child")
            batch = spool.next_batch(10, 2**20)
            code = 0 if batch is not None and batch.events == events("child") and spool.adopt() == 0 else 2
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert len(list(path.iterdir())) == 2
    assert sorted(drain(spool)) == ["child", "parent"]
