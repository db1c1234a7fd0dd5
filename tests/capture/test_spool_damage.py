"""Whatever happens to the bytes of a spool: what is intact is read, what is not is counted, and nothing raises."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from support.spooled import drain, events, segments
from tollkeeper.capture.spool.frames import HEADER, MAGIC, WAITING, Frame, Gap, _checksum, encode_frame, scan
from tollkeeper.capture.spool.spool import Spool

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

FRAME = len(encode_frame(events(0)))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "spool"


def left_behind(path: Path, count: int = 5) -> Path:
    """The file of a process that died with ``count`` frames of one event each in it."""
    dead = Spool(path)
    for number in range(count):
        dead.append(events(number))
    dead.close()
    (file,) = segments(path)
    assert file.stat().st_size == count * FRAME
    return file


def adopt_all(path: Path) -> tuple[list[str], int, int]:
    """What the next process reads, how many bytes were corrupt, and how many events it knew of are lost."""
    spool = Spool(path)
    known = spool.adopt()
    found, corrupt, lost = [], 0, 0
    while batch := spool.next_batch(2, 2**20):
        found += [event.id for event in batch.events]
        corrupt += batch.corrupt_bytes
        lost += batch.lost
        spool.settle(batch)
    assert known == len(found) + lost
    spool.close()
    return found, corrupt, lost


@pytest.mark.parametrize("missing", [1, FRAME // 2, FRAME - 18, FRAME - 17, FRAME - 3, FRAME - 1])
def test_a_torn_tail_costs_only_itself(path: Path, missing: int) -> None:
    file = left_behind(path)
    file.write_bytes(file.read_bytes()[:-missing])
    assert adopt_all(path) == (["0", "1", "2", "3"], FRAME - missing, 0)
    assert list(path.iterdir()) == []


def edit(start: int, data: bytes) -> Callable[[bytes], bytes]:
    return lambda content: content[:start] + data + content[start + len(data) :]


@pytest.mark.parametrize(
    ("change", "found", "corrupt"),
    [
        (edit(2 * FRAME + 30, b"\x00"), "0134", FRAME),
        (edit(4 * FRAME + 30, b"#"), "0123", FRAME),
        (edit(FRAME + 4, b"\xff\xff\xff\x7f"), "0234", FRAME),
        (edit(FRAME + 4, b"\x00\x00\x00\x00"), "0234", FRAME),
        (edit(FRAME + 8, b"\x07"), "0234", FRAME),
        (edit(FRAME + FRAME // 2, bytes(FRAME)), "034", 2 * FRAME),
        (edit(0, bytes(5 * FRAME)), "", 5 * FRAME),
        (lambda content: bytes(9000) + content, "01234", 9000),
        (lambda content: content + bytes(9000), "01234", 9000),
        (lambda content: content[:FRAME] + b"\xffTK1\xff\xffTK1 noise" + content[FRAME:], "01234", 15),
        (lambda content: random.Random(1).randbytes(2**20 - 2) + content, "01234", 2**20 - 2),
        (lambda _: b"something else altogether", "", 25),
    ],
    ids=[
        "a byte in the middle",
        "a byte in the tail",
        "a length beyond the end",
        "a length of nothing",
        "a count",
        "zeroes over parts of two",
        "zeroes over all",
        "zeroes in front",
        "zeroes behind",
        "noise that looks like frames",
        "a start across two windows",
        "no spool at all",
    ],
)
def test_what_is_damaged_is_passed_over_and_kept_for_a_person(
    path: Path, change: Callable[[bytes], bytes], found: str, corrupt: int
) -> None:
    file = left_behind(path)
    file.write_bytes(change(file.read_bytes()))
    assert adopt_all(path) == (list(found), corrupt, 0)
    (kept,) = path.iterdir()
    assert kept.name == f"{file.parent.name}-00000001.bad"
    assert adopt_all(path) == ([], 0, 0)


def test_an_empty_file_and_an_empty_folder_are_removed(path: Path) -> None:
    left_behind(path).write_bytes(b"")
    (path / "7-0011223344556677").mkdir()
    assert adopt_all(path) == ([], 0, 0)
    assert adopt_all(path) == ([], 0, 0)
    assert list(path.iterdir()) == []


def test_of_its_own_it_knows_how_many_are_lost_and_writes_on_elsewhere(path: Path) -> None:
    spool = Spool(path)
    for number in range(3):
        spool.append(events(number))
    (file,) = segments(path)
    file.write_bytes(edit(FRAME + 40, b"\x00\x00\x00")(file.read_bytes()))
    batch = spool.next_batch(10, 2**20)
    assert batch is not None
    assert ([event.id for event in batch.events], batch.lost, batch.corrupt_bytes) == (["0", "2"], 1, FRAME)
    spool.append(events(3))
    spool.settle(batch)
    assert drain(spool) == ["3"]
    spool.append(events(4))
    assert drain(spool) == ["4"]
    assert len(list(path.glob("*.bad"))) == 1
    spool.close()


def test_a_file_that_shrinks_while_it_is_read(path: Path) -> None:
    spool = Spool(path)
    for number in range(3):
        spool.append(events(number))
    (file,) = segments(path)
    with file.open("r+b") as opened:
        opened.truncate(FRAME + 40)
    batch = spool.next_batch(10, 2**20)
    assert batch is not None
    assert ([event.id for event in batch.events], batch.lost) == (["0"], 2)
    spool.close()


def test_a_segment_that_cannot_be_read_is_set_aside(path: Path) -> None:
    file = left_behind(path)
    (file.parent / "00000000.spool").mkdir()
    assert adopt_all(path) == (["0", "1", "2", "3", "4"], 0, 0)
    (kept,) = path.iterdir()
    assert kept.name.endswith("-00000000.bad")


@pytest.mark.parametrize("payload", [b"not JSON", b'[{"id":"1"}]'], ids=["no JSON", "no event"])
def test_a_frame_that_holds_something_else_is_kept_for_a_person(path: Path, payload: bytes) -> None:
    file = left_behind(path)
    header = HEADER.pack(MAGIC, len(payload), 1, _checksum(1, payload), WAITING)
    file.write_bytes(file.read_bytes() + header + payload)
    assert adopt_all(path) == (["0", "1", "2", "3", "4"], 0, 1)
    assert len(list(path.glob("*.bad"))) == 1


@settings(max_examples=150, deadline=None)
@given(
    damage=st.lists(st.tuples(st.integers(0, 6 * FRAME), st.binary(min_size=1, max_size=FRAME)), max_size=4),
    cut=st.integers(0, 2 * FRAME),
)
def test_every_frame_that_was_not_touched_is_read(
    tmp_path_factory: pytest.TempPathFactory, damage: list[tuple[int, bytes]], cut: int
) -> None:
    file = tmp_path_factory.mktemp("damage") / "segment"
    frames = [encode_frame(events(number)) for number in range(6)]
    before = b"".join(frames)
    content = before
    for start, data in damage:
        content = edit(start, data)(content)[: len(before)]
    content = content[: len(content) - cut]
    file.write_bytes(content)
    intact = [
        start
        for start in range(0, len(before), FRAME)
        if content[start : start + FRAME] == before[start : start + FRAME]
    ]
    with file.open("rb") as opened:
        pieces = list(scan(opened.fileno(), 0, len(content)))
    found = [piece for piece in pieces if isinstance(piece, Frame)]
    assert {piece.start for piece in found} >= set(intact)
    assert [piece.start for piece in pieces] == [0, *(piece.end for piece in pieces)][: len(pieces)]
    assert sum(piece.end - piece.start for piece in pieces) == len(content)
    assert not any(piece.torn for piece in pieces[:-1] if isinstance(piece, Gap))
    for piece in found:  # but for its mark, each is what was written
        assert piece.payload in before
