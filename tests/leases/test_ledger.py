from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

from support.leasing import MICRO, Bank
from tollkeeper.capture.gate.gate import Gate
from tollkeeper.folders.files import Files
from tollkeeper.leases.ledger import SLOT, SLOTS, Ledger, Left, adopt
from tollkeeper.leases.shelf import Shelf
from tollkeeper.log import QuietLog

if TYPE_CHECKING:
    from pathlib import Path

WRITER = """
import os, sys
from pathlib import Path
from tollkeeper.leases.ledger import Ledger
from tollkeeper.folders.files import Files

ledger = Ledger(Path(sys.argv[1]), Files())
for number in range(200):
    words, place = ledger.keep(f"lea_{number}")
    words[place] = number
    if number % 2:
        ledger.drop(words, place)
words, place = ledger.keep("lea_counting")
print("ready", flush=True)
used = 0
while True:
    used += 1
    words[place] = used
"""


def left_in(path: Path, own: Ledger | None = None) -> list[Left]:
    return list(adopt(path, Files(), own))


def test_what_a_killed_process_used_is_there(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", WRITER, str(tmp_path)], stdout=subprocess.PIPE) as writer:
        assert writer.stdout is not None
        assert writer.stdout.readline()
        assert left_in(tmp_path) == []  # it lives
        time.sleep(0.05)
        writer.send_signal(signal.SIGKILL)
    (left,) = left_in(tmp_path)
    used = {settle.lease: settle.used for settle in left.settles}
    assert all(settle.release for settle in left.settles)
    assert used.pop("lea_counting") > 0
    assert used == {f"lea_{number}": number for number in range(0, 200, 2)}
    left.settled()
    assert list(tmp_path.iterdir()) == []


def test_a_ledger_grows_and_removes_itself_when_all_is_settled(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path, Files())
    places = [ledger.keep(f"lea_{number}") for number in range(SLOTS + 1)]
    assert (ledger.folder / "leases").stat().st_size == 2 * SLOTS * SLOT
    for place in places:
        assert place is not None
        ledger.drop(*place)
    ledger.close()
    assert list(tmp_path.iterdir()) == []


def test_what_is_not_settled_stays_for_the_next(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path, Files())
    kept = ledger.keep("lea_1")
    assert kept is not None
    words, place = kept
    words[place] = 7
    assert left_in(tmp_path, ledger) == []
    ledger.close()
    (left,) = left_in(tmp_path)
    assert [(settle.lease, settle.used) for settle in left.settles] == [("lea_1", 7)]


def test_an_id_that_is_too_long_and_a_file_that_is_too_large_have_no_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tollkeeper.leases.ledger.MAX_CHUNKS", 1)
    ledger = Ledger(tmp_path, Files())
    assert ledger.keep("x" * SLOT) is None
    assert all(ledger.keep(f"lea_{number}") for number in range(SLOTS))
    assert ledger.keep("one too many") is None
    ledger.close()


def test_a_disk_that_is_full_is_no_hole_in_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ledger = Ledger(tmp_path, Files())
    monkeypatch.setattr(os, "pwrite", lambda *_: 100)
    with pytest.raises(OSError, match="no room"):
        ledger.keep("lea_1")
    ledger.close()


def test_damaged_and_unreadable_files_are_settled_as_far_as_they_go(tmp_path: Path) -> None:
    for name, content in {"1-0123456789abcdef": b"\xff" * (SLOT + 5), "2-0123456789abcdef": None}.items():
        (tmp_path / name).mkdir()
        if content is None:
            (tmp_path / name / "leases").mkdir()
        else:
            (tmp_path / name / "leases").write_bytes(content)
    assert [left.settles for left in left_in(tmp_path)] == [[], []]


def test_what_no_service_could_read_of_a_damaged_file_is_left_out(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path, Files())
    for name in ("lea_\xff", "lea_\0", "lea_1"):
        assert ledger.keep(name)
    ledger.close()
    (left,) = left_in(tmp_path)
    assert [settle.lease for settle in left.settles] == ["lea_1"]


def test_the_shelf_takes_over_what_the_dead_left_in_parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tollkeeper.leases.shelf.MAX_SETTLES", 2)
    dead = Ledger(tmp_path, Files())
    for number in range(3):
        dead.keep(f"lea_{number}")
    dead.close()
    shelf = Shelf(tmp_path, Files())
    assert [len(request.settle) for request in shelf.left_by_others()] == [2, 1]
    assert list(tmp_path.iterdir()) == []
    assert list(shelf.left_by_others()) == []


def test_what_many_left_is_one_request_and_their_folders_are_claimed_in_turn(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tollkeeper.leases.shelf.MAX_LEFT", 3)
    for number in range(4):
        dead = Ledger(tmp_path, Files())
        dead.keep(f"lea_{number}")
        dead.close()
    shelf = Shelf(tmp_path, Files())
    assert [len(request.settle) for request in shelf.left_by_others()] == [3]
    shelf._look_at = 0.0
    assert [len(request.settle) for request in shelf.left_by_others()] == [1]
    assert list(tmp_path.iterdir()) == []


def test_what_could_not_be_settled_is_tried_again(tmp_path: Path) -> None:
    dead = Ledger(tmp_path, Files())
    dead.keep("lea_1")
    dead.close()
    shelf = Shelf(tmp_path, Files())
    assert next(shelf.left_by_others()).settle[0].lease == "lea_1"
    assert len(shelf.left) == 1
    assert list(shelf.left_by_others()) == []
    shelf._look_at = 0.0
    assert next(shelf.left_by_others()).settle[0].lease == "lea_1"


def test_without_a_folder_nothing_is_kept() -> None:
    shelf = Shelf(None, None)
    shelf.open()
    first = shelf.keep("lea_1")
    assert first == shelf.keep("lea_2")
    shelf.drop(*first)
    assert list(shelf.left_by_others()) == []
    shelf.close()


def test_a_folder_that_cannot_be_used_is_complained_of_and_done_without(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_text("in the way")
    shelf = Shelf(tmp_path / "file", Files())
    log = QuietLog()
    shelf.open()
    assert list(shelf.left_by_others()) == []
    shelf.tell(log)
    shelf.tell(log)
    assert shelf.keep("lea_1")[1] == 0
    assert log.counts() == {"gate_folder": 1}
    assert "cannot write down" in caplog.text


def test_a_ledger_that_fails_later_is_done_without(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shelf = Shelf(tmp_path, Files())
    shelf.open()
    monkeypatch.setattr(os, "pwrite", lambda *_: 100)
    assert shelf.keep("lea_1")[1] == 0
    log = QuietLog()
    shelf.tell(log)
    assert log.counts() == {"gate_folder": 1}
    shelf.close()


KILLED = """
import sys
from pathlib import Path
from support.leasing import MICRO, Bank
from tollkeeper.capture.gate.gate import Gate
from tollkeeper.log import QuietLog

gate = Gate(Bank(), QuietLog(), folder=Path(sys.argv[1]))
for _ in range(7):
    gate.admit(("key_1", None, None, None, None), MICRO)
print("ready", flush=True)
sys.stdin.read()
"""


@pytest.mark.parametrize("how", ["SIGKILL", "SIGTERM"])
def test_the_next_process_settles_at_once_what_a_killed_one_used(tmp_path: Path, how: str) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", KILLED, str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline()
        process.send_signal(getattr(signal, how))
    bank = Bank()
    bank.open["lea_1"] = (10 * MICRO, 0)
    gate = Gate(bank, QuietLog(), folder=tmp_path)
    began = time.monotonic()
    gate.admit(("key_1", None, None, None, None), MICRO)
    assert time.monotonic() - began < 1
    while bank.used < 7 * MICRO:
        assert time.monotonic() - began < 5
        time.sleep(0.01)
    gate.close()
    assert list(tmp_path.iterdir()) == []
