"""The end of a process, however it comes: what waits is sent, the exit is not held up, and stderr stays clean."""

from __future__ import annotations

import time
from collections import Counter
from typing import TYPE_CHECKING

import pytest

from support.hosts import paths, run_script

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.timeout(90)


def users(*numbers: int) -> Counter[str]:
    return Counter(f"/users/{number}" for number in numbers)


def test_what_waits_is_sent_when_the_interpreter_ends(tmp_path: Path) -> None:
    run_script(
        tmp_path,
        """
        from shop import app
        client = app.test_client()
        for number in range(50):
            client.get(f"/users/{number}", buffered=True)
        """,
    )
    assert paths(tmp_path) == users(*range(50))
    assert not (tmp_path / "usage.db-wal").exists()  # and the file was closed in good order


@pytest.mark.parametrize(
    ("end", "code", "said"),
    [
        ("sys.exit(0)", 0, ""),
        ("sys.exit('bye')", 1, "bye\n"),
        ("os.kill(os.getpid(), signal.SIGINT)", -2, None),
        ("1 / 0", 1, None),
    ],
    ids=["exit", "exit with a word", "Ctrl-C", "an error"],
)
def test_an_exit_by_an_exception_sends_what_waits_too(tmp_path: Path, end: str, code: int, said: str | None) -> None:
    script = f"""
        import os, signal, sys
        from shop import app
        app.test_client().get("/users/1", buffered=True)
        {end}
        """
    run_script(tmp_path, script, code=code, errors=said)
    assert paths(tmp_path) == users(1)


def test_an_exit_in_a_request_is_the_hosts_and_is_recorded(tmp_path: Path) -> None:
    run_script(
        tmp_path,
        """
        import sys
        from shop import app
        app.add_url_rule("/users/<int:id>/exit", "exit", lambda id: sys.exit(7))
        app.test_client().get("/users/1/exit")
        """,
        code=7,
    )
    assert paths(tmp_path) == Counter(["/users/1/exit"])


def test_what_comes_in_the_last_moment_is_sent_or_counted(tmp_path: Path) -> None:
    output = run_script(
        tmp_path,
        """
        import atexit, logging, sys, threading, time
        logging.basicConfig(stream=sys.stdout)
        atexit.register(lambda: print(keeper.stats()))
        atexit.register(lambda: client.get("/users/4", buffered=True))  # after ours, as the last comes first
        from shop import app, keeper
        client = app.test_client()
        atexit.register(lambda: client.get("/users/3", buffered=True))  # before ours
        client.get("/users/1", buffered=True)

        def outlive():
            time.sleep(0.2)
            app.test_client().get("/users/2", buffered=True)

        threading.Thread(target=outlive).start()
        """,
    )
    assert paths(tmp_path) == users(1, 2, 3)
    assert "captured=4, sent=3, queued=0" in output
    assert "dropped={'closed': 1}" in output


def test_the_very_first_request_may_come_at_exit(tmp_path: Path) -> None:
    run_script(
        tmp_path,
        """
        import atexit
        from shop import app
        atexit.register(lambda: app.test_client().get("/users/1", buffered=True))
        """,
        errors=None,  # a newer Python starts no threads any more by then, and that is told
    )
    assert paths(tmp_path) == users(1)


def test_without_a_thread_to_send_it_is_sent_at_exit(tmp_path: Path) -> None:
    output = run_script(
        tmp_path,
        """
        import logging, sys, threading
        logging.basicConfig(stream=sys.stdout)
        from shop import app

        def start(thread):
            raise RuntimeError("can't start new thread")

        threading.Thread.start = start
        for number in range(3):
            app.test_client().get(f"/users/{number}", buffered=True)
        """,
    )
    assert paths(tmp_path) == users(0, 1, 2)
    assert output.count("Tollkeeper cannot start its thread") == 1


def test_daemon_threads_that_go_on_while_the_interpreter_ends_harm_nobody(tmp_path: Path) -> None:
    output = run_script(
        tmp_path,
        """
        import atexit, itertools, logging, sys, threading, time
        logging.basicConfig(stream=sys.stdout)

        def tell():
            stats = keeper.stats()
            assert stats.captured == stats.sent + stats.dropped.get("closed", 0), stats
            print("sent", stats.sent)

        atexit.register(tell)  # before ours, to be called after it
        from shop import app, keeper

        def ask():
            client = app.test_client()
            for number in itertools.count():
                client.get(f"/users/{number}", buffered=True)

        for _ in range(3):
            threading.Thread(target=ask, daemon=True).start()
        time.sleep(0.3)
        """,
    )
    sent = int(output.rpartition("sent ")[2])
    assert sum(paths(tmp_path).values()) == sent > 0


@pytest.mark.parametrize("sink", ["hangs", "refuses", "is not there"])
def test_a_sink_that_takes_nothing_holds_up_the_exit_no_longer_than_it_may(tmp_path: Path, sink: str) -> None:
    began = time.monotonic()
    output = run_script(
        tmp_path,
        f"""
        import logging, sys, time
        logging.basicConfig(stream=sys.stdout)
        from flask import Flask
        from tollkeeper.errors import SinkError
        from tollkeeper.flask import Tollkeeper

        class Sink:
            def send(self, events):
                if {sink!r} == "hangs":
                    time.sleep(60)
                raise SinkError("no", retry_after=60)

            def close(self):
                pass

        app = Flask("x")
        app.config.update(TOLLKEEPER_SHUTDOWN_SECONDS=0.5, TOLLKEEPER_BATCH_EVENTS=2)
        Tollkeeper(app, sink="http://127.0.0.1:9" if {sink!r} == "is not there" else Sink())
        for _ in range(5):
            app.test_client().get("/", buffered=True)
        """,
    )
    assert time.monotonic() - began < 20  # a third of what the sink would like
    assert "lost 5 events" in output
