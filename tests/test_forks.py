from __future__ import annotations

import os
import sys
import threading
from types import ModuleType

import pytest

from support.children import in_child
from tollkeeper.forks import ForkLock, is_to_fork

pytestmark = [
    pytest.mark.skipif(not hasattr(os, "fork"), reason="this platform does not fork"),
    pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning"),
]


class Guarded:
    """Notes down what its lock calls."""

    def __init__(self) -> None:
        self.told: list[str] = []
        self.lock = ForkLock(before=self._before, after_in_child=self._after)

    def _before(self) -> None:
        self.told.append("before")

    def _after(self) -> None:
        self.told.append("after")


def taken(guarded: Guarded) -> bool:
    with guarded.lock:
        return True


def test_parent_and_child_can_take_it_after_a_fork() -> None:
    guarded = Guarded()
    assert in_child(lambda: taken(guarded) and guarded.told == ["before", "after"]) == 0
    assert taken(guarded)
    assert guarded.told == ["before"]


def test_a_fork_waits_for_who_holds_it() -> None:
    guarded = Guarded()
    inside = threading.Event()

    def work() -> None:
        with guarded.lock:
            inside.set()
            threading.Event().wait(0.2)
            guarded.told.append("worked")

    thread = threading.Thread(target=work)
    thread.start()
    inside.wait(10)
    assert in_child(lambda: taken(guarded) and guarded.told == ["worked", "before", "after"]) == 0
    thread.join(10)


def test_but_not_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tollkeeper.forks.FORK_WAIT_SECONDS", 0.01)
    guarded = Guarded()
    inside, go_on = threading.Event(), threading.Event()

    def work() -> None:
        with guarded.lock:
            inside.set()
            go_on.wait(10)

    thread = threading.Thread(target=work)
    thread.start()
    inside.wait(10)
    assert in_child(lambda: taken(guarded) and guarded.told == ["after"]) == 0
    go_on.set()
    thread.join(10)
    assert taken(guarded)
    assert guarded.told == []


def test_a_fork_by_who_holds_it_leaves_both_well(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tollkeeper.forks.FORK_WAIT_SECONDS", 0.01)
    guarded = Guarded()

    def fork_within() -> int:
        with guarded.lock:
            return os.fork()

    child = fork_within()
    if not child:
        os._exit(not taken(guarded))
    assert os.waitpid(child, 0)[1] == 0
    assert taken(guarded)


def test_it_keeps_nobody_alive() -> None:
    lock = Guarded().lock
    lock.renew()
    with lock:
        pass


@pytest.mark.parametrize(
    ("is_to", "worker", "master", "processes"),
    [
        (True, 0, "this", 1),  # the master, while it loads the app
        (True, 0, None, 2),  # without one, the first of two workers, which makes the other
        (False, 0, None, 1),
        (False, 1, "another", 2),
        (False, 0, "another", 2),  # a mule, a spooler, or a child of the app's own
    ],
)
def test_only_the_process_of_uwsgi_that_makes_the_others_is_to_fork(
    monkeypatch: pytest.MonkeyPatch, *, is_to: bool, worker: int, master: str | None, processes: int
) -> None:
    assert not is_to_fork()
    uwsgi = ModuleType("uwsgi")
    monkeypatch.setitem(sys.modules, "uwsgi", uwsgi)
    assert not is_to_fork(), "it is another module of that name"
    pid = {"this": os.getpid(), "another": os.getpid() + 1, None: 0}[master]
    for name, value in {"masterpid": lambda: pid, "worker_id": lambda: worker, "numproc": processes}.items():
        setattr(uwsgi, name, value)
    assert is_to_fork() == is_to
