from __future__ import annotations

import asyncio
import multiprocessing
import os
import sys
import threading
import time
from types import ModuleType
from typing import TYPE_CHECKING, Any

import pytest

from support.leasing import MICRO, Bank
from tollkeeper.capture.gate.gate import UNDECIDED, Gate
from tollkeeper.errors import SinkError
from tollkeeper.events.lease import Denial, Grant, LeaseAnswer, LeaseRequest
from tollkeeper.folders.files import Files
from tollkeeper.leases.lease import UNCOUNTED
from tollkeeper.leases.ledger import Ledger
from tollkeeper.log import QuietLog

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tollkeeper.leases.lease import CallKey, Verdict

KEY: CallKey = ("key_1", None, None, None, None)
OTHER: CallKey = ("key_2", None, None, None, None)


@pytest.fixture
def gates(tmp_path: Path) -> Iterator[Callable[..., Gate]]:
    made: list[Gate] = []

    def make(bank: Bank, **options: object) -> Gate:
        given: dict[str, Any] = {"folder": tmp_path, "timeout": 5.0} | options
        gate = Gate(bank, QuietLog(), **given)
        made.append(gate)
        return gate

    yield make
    for gate in made:
        gate.close()


def admitted(verdict: Verdict) -> bool:
    return verdict.denial is None


def until(condition: Callable[[], bool], seconds: float = 5.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it does not happen"
        time.sleep(0.01)


def test_threads_never_admit_more_than_there_is_and_all_of_it(gates: Callable[..., Gate]) -> None:
    bank = Bank(room=300)
    gate = gates(bank)
    counts = [0] * 8

    def call(number: int) -> None:
        for _ in range(100):
            counts[number] += admitted(gate.admit(KEY, MICRO))

    threads = [threading.Thread(target=call, args=[number]) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(counts) == 300
    gate.close()
    assert (bank.used, bank.open, bank.room) == (300 * MICRO, {}, 0)


def test_calls_of_a_key_that_come_at_once_share_one_exchange(gates: Callable[..., Gate]) -> None:
    bank = Bank(room=10_000)
    bank.hold.clear()
    gate = gates(bank)
    answers: list[bool] = []
    threads = [threading.Thread(target=lambda: answers.append(admitted(gate.admit(KEY, MICRO)))) for _ in range(20)]
    for thread in threads:
        thread.start()
    until(lambda: sum(map(len, gate._desk._waiters.values())) == 20)
    bank.hold.set()
    for thread in threads:
        thread.join()
    assert answers == [True] * 20
    assert len(bank.takes) <= 3


def test_the_same_on_an_event_loop(gates: Callable[..., Gate]) -> None:
    bank = Bank(room=300)
    gate = gates(bank)

    async def many() -> list[Verdict]:
        return await asyncio.gather(*[gate.admit_async(KEY, MICRO) for _ in range(500)])

    assert sum(map(admitted, asyncio.run(many()))) == 300


def test_an_event_loop_goes_on_while_a_call_waits(gates: Callable[..., Gate]) -> None:
    bank = Bank()
    bank.hold.clear()
    gate = gates(bank, timeout=0.3)

    async def beside() -> int:
        ticks = 0
        waiting = asyncio.create_task(gate.admit_async(KEY, MICRO))
        while not waiting.done():
            await asyncio.sleep(0.01)
            ticks += 1
        assert admitted(await waiting)
        return ticks

    assert asyncio.run(beside()) > 5
    bank.hold.set()


def test_on_a_loop_that_is_not_of_asyncio_nobody_waits(gates: Callable[..., Gate]) -> None:
    gate = gates(Bank(), on_failure="deny")
    coroutine = gate.admit_async(KEY, MICRO)
    with pytest.raises(StopIteration) as ended:
        coroutine.send(None)
    assert ended.value.value is UNDECIDED
    until(lambda: gate.decide(KEY, MICRO) is not None)


def test_who_waited_on_a_loop_that_has_ended_harms_nobody(gates: Callable[..., Gate]) -> None:
    bank = Bank()
    bank.hold.clear()
    gate = gates(bank, timeout=0.05)
    assert admitted(asyncio.run(gate.admit_async(KEY, MICRO)))
    bank.hold.set()
    until(lambda: gate.decide(KEY, MICRO) is not None)


@pytest.mark.parametrize("policy", ["admit", "deny"])
def test_what_cannot_be_known_is_decided_by_the_option(gates: Callable[..., Gate], policy: str) -> None:
    bank = Bank()
    bank.failing = SinkError("nobody answers")
    gate = gates(bank, on_failure=policy)
    verdict = gate.admit(KEY, MICRO)
    assert admitted(verdict) == (policy == "admit")
    assert verdict.counted == (policy == "deny")
    assert gate._log.counts()["gate_undecided"] == 1


def test_the_plan_that_was_told_last_goes_before_the_option(gates: Callable[..., Gate]) -> None:
    bank = Bank(seconds=0.2, on_failure="deny")
    gate = gates(bank)
    assert admitted(gate.admit(KEY, MICRO))
    bank.failing = SinkError("nobody answers")
    assert admitted(gate.admit(KEY, MICRO))  # on the lease
    time.sleep(0.25)
    assert gate.admit(KEY, MICRO).denial is UNDECIDED.denial
    assert admitted(gate.admit(OTHER, MICRO))


def test_a_service_that_hangs_costs_one_bounded_wait(gates: Callable[..., Gate]) -> None:
    bank = Bank()
    bank.hold.clear()
    gate = gates(bank, timeout=0.5)
    began = time.monotonic()
    for _ in range(20):
        assert admitted(gate.admit(KEY, MICRO))
    assert 0.4 < time.monotonic() - began < 5  # twenty waits are twice as long
    bank.hold.set()
    until(lambda: (verdict := gate.decide(KEY, MICRO)) is not None and verdict.counted)


def test_it_works_on_through_an_outage_and_the_books_agree_afterwards(gates: Callable[..., Gate]) -> None:
    bank = Bank()
    gate = gates(bank)
    assert gate.admit(KEY, MICRO).counted
    bank.failing = SinkError("nobody answers")
    for _ in range(9):
        assert gate.admit(KEY, MICRO).counted
    assert not gate.admit(KEY, MICRO).counted
    bank.failing = None
    until(lambda: bank.used == 10 * MICRO)
    until(lambda: gate.admit(KEY, MICRO).counted)


def test_a_service_that_is_down_is_not_asked_again_and_again(gates: Callable[..., Gate]) -> None:
    asked: list[float] = []

    class Counting(Bank):
        def exchange(self, _: LeaseRequest) -> LeaseAnswer:
            asked.append(time.monotonic())
            raise SinkError("nobody answers")

    gate = gates(Counting())
    ending = time.monotonic() + 1.2
    while time.monotonic() < ending:
        gate.admit(KEY, MICRO)
        time.sleep(0.001)
    assert 2 <= len(asked) <= 4


def test_an_answer_with_too_few_grants_is_none(gates: Callable[..., Gate]) -> None:
    class Short(Bank):
        def exchange(self, _: LeaseRequest) -> LeaseAnswer:
            return LeaseAnswer()

    gate = gates(Short(), on_failure="deny")
    assert gate.admit(KEY, MICRO) is UNDECIDED


def test_a_change_of_the_catalogue_arrives_within_a_second(gates: Callable[..., Gate]) -> None:
    bank = Bank()
    gate = gates(bank)
    assert admitted(gate.admit(KEY, MICRO))
    revoked = Denial(status=401, code="api_key_revoked", detail="revoked")
    bank.grants = [Grant(seconds=10, denial=revoked)] * 100
    bank.revision = "2"
    began = time.monotonic()
    until(lambda: gate.admit(KEY, MICRO).denial == revoked)
    assert time.monotonic() - began < 1


def test_without_traffic_leases_go_back_and_nothing_is_asked_any_more(gates: Callable[..., Gate]) -> None:
    bank = Bank(seconds=1.2)
    gate = gates(bank)
    gate.admit(KEY, MICRO)
    until(lambda: not bank.open)
    until(lambda: gate._desk.book.idle)
    count = len(bank.requests)
    time.sleep(0.7)
    assert len(bank.requests) == count
    assert gate.admit(KEY, MICRO).counted


def test_a_lease_is_renewed_while_it_is_in_use(gates: Callable[..., Gate]) -> None:
    bank = Bank(room=100_000, seconds=1.1)
    gate = gates(bank, timeout=0.001)  # nobody can wait
    until(lambda: gate.admit(KEY, MICRO).counted)
    ending = time.monotonic() + 2.5
    while time.monotonic() < ending:
        assert gate.admit(KEY, MICRO).counted
        time.sleep(0.01)


def test_release_gives_all_back_and_the_gate_goes_on(gates: Callable[..., Gate]) -> None:
    bank = Bank()
    gate = gates(bank)
    assert gate.release()
    gate.admit(KEY, MICRO)
    assert gate.release()
    assert (bank.open, bank.used) == ({}, MICRO)
    assert gate.admit(KEY, MICRO).counted
    bank.failing = SinkError("nobody answers")
    assert not gate.release()


def test_a_gate_that_is_closed_decides_by_its_option(gates: Callable[..., Gate], tmp_path: Path) -> None:
    bank = Bank()
    gate = gates(bank)
    gate.admit(KEY, MICRO)
    gate.close()
    assert (bank.open, bank.closed) == ({}, 1)
    assert list(tmp_path.iterdir()) == []
    assert not gate.admit(KEY, MICRO).counted
    gate.close()


def test_what_was_leased_when_the_service_is_gone_is_left_to_the_next(
    gates: Callable[..., Gate], tmp_path: Path
) -> None:
    bank = Bank()
    gate = gates(bank)
    gate.admit(KEY, MICRO)
    bank.failing = SinkError("nobody answers")
    gate.close()
    assert len(list(tmp_path.iterdir())) == 1
    bank.failing = None
    gates(bank).admit(KEY, MICRO)
    until(lambda: bank.used == MICRO)
    until(lambda: len(list(tmp_path.iterdir())) == 1)


def test_what_a_dead_process_left_and_no_service_takes_stops_nobody(gates: Callable[..., Gate]) -> None:
    class Picky(Bank):
        def exchange(self, request: LeaseRequest) -> LeaseAnswer:
            if any(settle.lease == "lea_9" for settle in request.settle):
                raise SinkError("no such lease", retry=False)
            return Bank.exchange(self, request)

    first = Bank()
    first.grants = [Grant(seconds=10, lease="lea_9", units=MICRO, plan="basic")]
    gate = gates(first)
    gate.admit(KEY, MICRO)
    first.failing = SinkError("nobody answers")
    gate.close()
    second = gates(Picky())
    assert second.admit(KEY, MICRO).counted
    until(lambda: second._log.counts() == {"gate_left": 1})


def test_what_the_dead_left_is_settled_together_and_after_those_who_wait(
    gates: Callable[..., Gate], tmp_path: Path
) -> None:
    for number in range(60):
        dead = Ledger(tmp_path, Files())
        dead.keep(f"lea_dead_{number}")
        dead.close()
    bank = Bank()
    bank.open |= {f"lea_dead_{number}": (MICRO, 0) for number in range(60)}
    assert gates(bank).admit(KEY, MICRO).counted
    until(lambda: len(list(tmp_path.iterdir())) == 1)
    assert [(len(one.take), len(one.settle)) for one in bank.requests[:2]] == [(1, 0), (0, 60)]


def test_the_rest_of_what_the_dead_left_waits_while_others_do(
    gates: Callable[..., Gate], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tollkeeper.leases.shelf.MAX_SETTLES", 1)
    dead = Ledger(tmp_path, Files())
    for number in range(3):
        dead.keep(f"lea_dead_{number}")
    dead.close()

    class Asked(Bank):
        def exchange(self, request: LeaseRequest) -> LeaseAnswer:
            if len(self.requests) == 1:  # this one settles the first of the three
                gate._desk.ask(OTHER, MICRO, None)
            return Bank.exchange(self, request)

    bank = Asked()
    bank.open |= {f"lea_dead_{number}": (MICRO, 0) for number in range(3)}
    gate = gates(bank)
    assert gate.admit(KEY, MICRO).counted
    until(lambda: len(bank.takes) == 2)
    assert [len(one.take) for one in bank.requests[:3]] == [1, 0, 1]


class Busy(Bank):
    """A service that knows one key, and takes its time."""

    def exchange(self, request: LeaseRequest) -> LeaseAnswer:
        time.sleep(0.05)
        if any(take.consumer == KEY[0] for take in request.take):
            return Bank.exchange(self, request)
        unknown = Denial(status=401, code="unknown_api_key", detail="unknown")
        return LeaseAnswer(revision="1", grants=[Grant(seconds=10, denial=unknown) for _ in request.take])


def invented(count: int) -> list[CallKey]:
    return [(f"key_invented_{number}", None, None, None, None) for number in range(count)]


def test_whoever_invents_many_keys_is_not_admitted_by_a_service_that_is_busy(
    gates: Callable[..., Gate], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tollkeeper.leases.book.MAX_TAKES", 10)
    monkeypatch.setattr("tollkeeper.leases.book.MAX_WANTED", 100)  # others are too many
    gate = gates(Busy(on_failure="deny"), timeout=1)
    assert gate.admit(KEY, MICRO).counted

    async def many() -> list[Verdict]:
        return await asyncio.gather(*[gate.admit_async(key, MICRO) for key in invented(200)])

    denials = [verdict.denial for verdict in asyncio.run(many())]
    assert {denial and denial.code for denial in denials} == {"unknown_api_key", "gate_unavailable"}
    assert not gate._desk.down
    assert gate.admit(KEY, MICRO).counted
    until(lambda: gate._desk.book.idle or not gate._desk.book.hungry)
    denial = gate.admit(invented(1)[0], MICRO).denial
    assert denial is not None
    assert denial.code == "unknown_api_key"


def test_in_threads_they_are_not_admitted_either(gates: Callable[..., Gate], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tollkeeper.leases.book.MAX_TAKES", 1)
    monkeypatch.setattr("tollkeeper.leases.book.MAX_WANTED", 8)
    gate = gates(Busy(), timeout=1)
    verdicts: list[Verdict] = []
    threads = [threading.Thread(target=lambda key=key: verdicts.append(gate.admit(key, MICRO))) for key in invented(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {verdict.denial and verdict.denial.code for verdict in verdicts} == {"unknown_api_key", "gate_unavailable"}


def test_a_customer_is_admitted_as_the_plan_says_while_the_service_is_busy(
    gates: Callable[..., Gate], monkeypatch: pytest.MonkeyPatch
) -> None:
    bank = Bank(room=4, on_failure="admit")  # one unit at a time
    gate = gates(bank)
    assert gate.admit(KEY, MICRO).counted
    monkeypatch.setattr("tollkeeper.leases.book.MAX_WANTED", 0)
    assert gate.admit(KEY, MICRO).denial is None
    assert gate.admit(OTHER, MICRO) is UNDECIDED


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs os.fork")
def test_a_child_of_a_fork_has_leases_of_its_own(gates: Callable[..., Gate], tmp_path: Path) -> None:
    gate = gates(Bank(room=100))
    gate.admit(KEY, MICRO)
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        try:
            fresh = gate.decide(KEY, MICRO) is None
            counted = gate.admit(KEY, MICRO).counted
            folders = len(list(tmp_path.iterdir()))
            gate.close()
            os.write(writing, f"{fresh} {counted} {folders}".encode())
        finally:
            os._exit(0)
    os.waitpid(child, 0)
    assert os.read(reading, 100) == b"True True 2"
    assert gate.admit(KEY, MICRO).counted
    assert len(list(tmp_path.iterdir())) == 1


def test_a_fork_that_passes_the_hooks_by_is_noticed(
    gates: Callable[..., Gate], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "uwsgi", ModuleType("uwsgi"))
    bank = Bank()
    gate = gates(bank)
    gate.admit(KEY, MICRO)
    gate._desk.process = 1
    assert gate.admit(KEY, MICRO).counted
    assert len(bank.takes) == 2


def test_where_uwsgi_is_to_fork_no_thread_asks_and_calls_are_undecided(
    gates: Callable[..., Gate], monkeypatch: pytest.MonkeyPatch
) -> None:
    uwsgi = ModuleType("uwsgi")
    monkeypatch.setitem(sys.modules, "uwsgi", uwsgi)
    pid, worker = os.getpid(), 0
    for name, value in {"masterpid": lambda: pid, "worker_id": lambda: worker}.items():
        setattr(uwsgi, name, value)
    bank = Bank()
    gate = gates(bank)
    assert gate.admit(KEY, MICRO) == UNCOUNTED
    assert gate._desk._thread is None
    pid, worker, gate._desk.process = 0, 1, 0  # as in a worker
    assert gate.admit(KEY, MICRO).counted
    assert len(bank.takes) == 1


def in_a_child(path: Path) -> None:
    gate = Gate(Bank(), QuietLog(), folder=path)
    assert gate.admit(KEY, MICRO).counted


def test_a_child_of_multiprocessing_gives_back_at_its_end(tmp_path: Path) -> None:
    child = multiprocessing.get_context("spawn").Process(target=in_a_child, args=[tmp_path])
    child.start()
    child.join(20)
    assert child.exitcode == 0
    assert list(tmp_path.iterdir()) == []


def test_when_no_thread_can_be_started_calls_are_undecided(
    gates: Callable[..., Gate], monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_more(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    gate = gates(Bank())
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", no_more)
        assert not gate.admit(KEY, MICRO).counted
    gate._desk.down = False
    assert gate.admit(KEY, MICRO).counted


def test_when_the_thread_is_ended_the_next_that_asks_starts_another(
    gates: Callable[..., Gate], monkeypatch: pytest.MonkeyPatch
) -> None:
    class Ending(Bank):
        def exchange(self, _: LeaseRequest) -> LeaseAnswer:
            raise SystemExit

    monkeypatch.setattr(threading, "excepthook", lambda _: None)

    bank = Ending()
    gate = gates(bank)
    assert not gate.admit(KEY, MICRO).counted
    monkeypatch.setattr(Ending, "exchange", Bank.exchange)
    gate._desk.down = False
    assert gate.admit(KEY, MICRO).counted
    gate.close()
