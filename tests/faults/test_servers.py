"""Real servers that fork, thread, recycle, reload and stop under load: every answer is recorded exactly once."""

from __future__ import annotations

import re
import signal
import time
from collections import Counter
from contextlib import contextmanager
from importlib.util import find_spec
from typing import TYPE_CHECKING

import pytest

from support.hosts import OPEN, SHOP, Load, get, hosted, paths, rows, run_script
from support.requirements import require

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from support.hosts import Host

# What the parent captured before it forks is the parent's to send; that its thread runs must not fool the child.
WARM = f"{SHOP}\nwith app.test_client() as client:\n    client.get('/warm').close()\n"
TROUBLE = re.compile(
    r"Traceback|Exception ignored|Segmentation|Tollkeeper (?:lost|drops events, reason '(?!uwsgi_master))"
    r"|MERCY|sent SIGKILL"
)

pytestmark = pytest.mark.timeout(120)

# How many workers have to be ready (of uWSGI: how many load the app), and the command.
SERVERS = {
    "sync": (2, "gunicorn -w 2"),
    "sync preload": (4, "gunicorn -w 4 --preload"),
    "gthread": (2, "gunicorn -w 2 --threads 4"),
    "gthread preload": (3, "gunicorn -w 3 --threads 4 --preload"),
    "gevent": (2, "gunicorn -w 2 -k gevent"),
    "gevent preload": (2, "gunicorn -w 2 -k gevent --preload"),
    "recycled": (2, "gunicorn -w 2 --max-requests 60 --max-requests-jitter 20"),
    "recycled preload": (2, "gunicorn -w 2 --threads 2 --max-requests 60 --preload"),
    "uwsgi": (1, "uwsgi --processes 2"),
    "uwsgi threads": (1, "uwsgi --processes 2 --enable-threads --threads 4"),
    "uwsgi lazy": (2, "uwsgi --processes 2 --lazy-apps"),
    "uwsgi recycled": (1, "uwsgi --processes 2 --max-requests 60"),
    "uwsgi gevent": (1, "uwsgi --processes 2 --gevent 10 --gevent-early-monkey-patch"),
}


@contextmanager
def serving(folder: Path, name: str, app: str = SHOP, **more: str) -> Iterator[Host]:
    workers, command = SERVERS[name]
    if "gevent" in command:
        require("gevent", find_spec("gevent"))
    if "uwsgi" in command:
        require("pyuwsgi", find_spec("pyuwsgi"))
    with hosted(folder, *command.split(), app=app, workers=workers, more=more) as host:
        yield host


@pytest.mark.parametrize("name", [name for name in SERVERS if name != "uwsgi gevent"])
def test_what_was_answered_is_recorded_once_though_the_server_stops_under_load(tmp_path: Path, name: str) -> None:
    with serving(tmp_path, name, WARM) as host, Load(host.port) as load:
        load.wait_for(300)
        host.stop(busy=True)
        assert TROUBLE.findall(host.log) == [], host.log
    found = paths(tmp_path)
    load.check(found)
    if "uwsgi" not in name or "lazy" in name:  # the master of uWSGI has no life of its own
        assert found["/warm"] == host.log.count(OPEN)


@pytest.mark.parametrize("name", ["uwsgi", "uwsgi lazy", "uwsgi threads"])
def test_uwsgi_may_be_told_to_end_at_once_when_it_has_nothing_to_do(tmp_path: Path, name: str) -> None:
    with serving(tmp_path, name, WARM) as host:
        for number in range(50):
            assert get(host.port, f"/users/{number}")[0] == 200
        time.sleep(0.2)  # a worker that is still busy with the last one is cut off, and skips its exit
        assert ("'uwsgi_master'" in host.log) == (name != "uwsgi lazy")
    assert paths(tmp_path) == Counter(f"/users/{number}" for number in range(50)) + Counter(
        {"/warm": host.log.count(OPEN) if name == "uwsgi lazy" else 0}
    )


@pytest.mark.parametrize("name", ["uwsgi", "uwsgi threads"])
def test_workers_that_uwsgi_forks_answer_though_the_app_has_asked_itself_much_before(tmp_path: Path, name: str) -> None:
    # With a thread in the master, which takes longer to deliver that than uWSGI does until its forks, none answered.
    busy = WARM.replace("client.get", "for _ in range(1500):\n        client.get")
    busy += "print(sorted(keeper.stats().dropped.items()), keeper.flush(5), flush=True)\n"
    with serving(tmp_path, name, busy, TOLLKEEPER_FLUSH_SECONDS="0.1") as host:
        assert "[('uwsgi_master', 1500)] True" in host.log
        for number in range(20):
            assert get(host.port, f"/users/{number}")[0] == 200
        assert "Traceback" not in host.log
        time.sleep(0.2)
    assert paths(tmp_path) == Counter(f"/users/{number}" for number in range(20))


def test_uwsgi_with_gevent_sends_while_it_runs(tmp_path: Path) -> None:
    # It ends without telling Python: what waits then is lost, or in the spool.
    with serving(tmp_path, "uwsgi gevent", WARM) as host:
        with Load(host.port) as load:
            load.wait_for(300)
        until = time.monotonic() + 20
        while len(paths(tmp_path) - Counter(["/warm"])) < len(load.answered):
            assert time.monotonic() < until, host.log
            time.sleep(0.1)
        assert TROUBLE.findall(host.log) == [], host.log
    load.check(paths(tmp_path))


@pytest.mark.parametrize("name", ["sync preload", "gthread"])
def test_a_reload_under_load_loses_nothing(tmp_path: Path, name: str) -> None:
    with serving(tmp_path, name) as host, Load(host.port, pause=0.002) as load:
        for _ in range(3):
            load.wait_for(60)
            host.signal(signal.SIGHUP)
        load.wait_for(100)
        host.stop(busy=True)
        assert host.log.count("Handling signal: hup") == 3
    load.check(paths(tmp_path))


def test_the_hub_of_gevent_goes_on_while_our_thread_waits(tmp_path: Path) -> None:
    with serving(tmp_path, "gevent preload", WARM, TOLLKEEPER_FLUSH_SECONDS="5") as host:
        slowest = 0.0
        for number in range(100):
            began = time.monotonic()
            assert get(host.port, f"/users/{number}")[0] == 200
            slowest = max(slowest, time.monotonic() - began)
        assert slowest < 3  # were it blocked, some request would have waited all of the five seconds
    assert sum(paths(tmp_path).values()) == 101


def test_streams_files_and_errors_are_told_apart(tmp_path: Path) -> None:
    with serving(tmp_path, "gthread preload") as host:
        source = (tmp_path / "shop.py").read_bytes()
        assert get(host.port, "/stream") == (200, b"0 1 2 ")
        assert get(host.port, "/file") == (200, source)
        assert get(host.port, "/file", "HEAD") == (200, b"")
        assert get(host.port, "/boom")[0] == 500
        assert get(host.port, "/nothing")[0] == 404
    database = tmp_path / "usage.db"
    assert rows(database, "SELECT route, status_code, count(*) FROM usage_events GROUP BY 1, 2 ORDER BY 1, 2") == [
        ("(unmatched)", 404, 1),
        ("/boom", 500, 1),
        ("/file", 200, 2),
        ("/stream", 200, 1),
    ], host.log
    (((elapsed,),)) = rows(database, "SELECT elapsed_time FROM usage_events WHERE route = '/stream'")
    assert isinstance(elapsed, float)
    assert 0.3 <= elapsed < 5
    sizes = "SELECT json_extract(document, '$.response.content_length') FROM usage_events WHERE route = '/file'"
    assert sorted(rows(database, sizes)) == [(0,), (len(source),)]


@pytest.mark.parametrize("patched", ["before", "after", "when it runs"])
def test_greenlets_go_on_whenever_gevent_was_patched_in(tmp_path: Path, patched: str) -> None:
    require("gevent", find_spec("gevent"))
    run_script(
        tmp_path,
        f"""
        import sys, threading, time
        patch = "from gevent import monkey; monkey.patch_all()"
        if {patched!r} == "before":
            exec(patch)
        from shop import app, keeper
        if {patched!r} == "when it runs":
            app.test_client().get("/warm", buffered=True)
        if {patched!r} != "before":
            exec(patch)
        import gevent

        def ask(name):
            for number in range(20):
                app.test_client().get(f"/users/{{100 * name + number}}", buffered=True)
                gevent.sleep(0.001)

        def tick():
            global longest
            last = time.monotonic()
            while not ending:
                gevent.sleep(0.01)
                now = time.monotonic()
                longest, last = max(longest, now - last), now

        longest, ending = 0.0, False
        ticker = gevent.spawn(tick)
        gevent.joinall([gevent.spawn(ask, name) for name in range(10)], raise_error=True)
        gevent.sleep(0.5)  # our thread waits meanwhile
        assert [thread.name for thread in threading.enumerate()].count("tollkeeper") == 1
        assert keeper.flush(10)
        ending = True
        ticker.join()
        assert keeper.stats().sent >= 200, keeper.stats()
        assert longest < 3, longest
        """,
        # A thread that ran before gevent took over ends with a complaint of Python's, whosever it is.
        errors=None if patched == "when it runs" else "",
        TOLLKEEPER_FLUSH_SECONDS="5",
    )
    found = paths(tmp_path)
    assert len(found - Counter(["/warm"])) == 200
    assert set(found.values()) == {1}
