"""An app that forks, by whatever means and in whatever moment: parent and child each send their own, once."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import pytest

from support.hosts import paths, run_script

if TYPE_CHECKING:
    from pathlib import Path

# A WSGI app without a framework, whose sink appends the paths that it was sent to a file, and requests to it.
PLAIN = """
import io, os, random, sys, threading, time
from tollkeeper.wsgi import Tollkeeper

class Lines:
    def __init__(self):
        self.file = os.open("lines", os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    def send(self, events):
        os.write(self.file, "".join(f"{event.path}\\n" for event in events).encode())

    def close(self):
        pass

def answer(environ, start_response):
    start_response("200 OK", [("Content-Type", "application/json")])
    return [b'{"number": 1}']

app = Tollkeeper(answer, sink=Lines(), route=lambda environ: "/{n}")

def ask(path):
    browser = f"Mozilla/5.0 (X11; Linux x86_64; rv:{random.random()}) Gecko/20100101 Firefox/{random.random()}"
    environ = {"REQUEST_METHOD": "GET", "PATH_INFO": path, "HTTP_USER_AGENT": browser, "wsgi.input": io.BytesIO()}
    result = app(environ, lambda status, headers, exc_info=None: None)
    assert list(result) == [b'{"number": 1}']
    result.close()

def child_asks(path):
    ask(path)
    if not app.flush(20) or app.stats().sent != 1 or app.stats().captured != 1:
        os.write(2, f"{path}: {app.stats()}\\n".encode())
        os._exit(1)
    os._exit(0)

def all_well(children):
    return all(os.waitpid(child, 0)[1] == 0 for child in children)
"""


def lines(folder: Path) -> Counter[str]:
    return Counter((folder / "lines").read_text().splitlines())


@pytest.mark.timeout(90)
def test_what_waits_at_the_fork_is_the_parents(tmp_path: Path) -> None:
    run_script(
        tmp_path,
        """
        import os
        from shop import app, keeper
        client = app.test_client()
        children = []
        for number in range(200):
            client.get(f"/users/{number}", buffered=True)
            if number % 20 == 10:  # events wait, or are on their way, at the moment of the fork
                if number % 40 == 10:
                    keeper.flush(5)
                child = os.fork()
                if child == 0:
                    assert keeper.stats().captured == 0
                    for mine in range(5):
                        client.get(f"/users/{1000 * os.getppid() + 10 * number + mine}", buffered=True)
                    done = keeper.flush(10) and keeper.stats().sent == 5 and keeper.close(5)
                    os._exit(0 if done else 1)
                children.append(child)
        assert all(os.waitpid(child, 0)[1] == 0 for child in children)
        assert keeper.close(10)
        assert keeper.stats().sent == 200, keeper.stats()
        """,
    )
    found = paths(tmp_path)
    assert len(found) == 250
    assert set(found.values()) == {1}


@pytest.mark.timeout(90)
def test_forks_in_a_thread_while_every_lock_is_hot(tmp_path: Path) -> None:
    (tmp_path / "plain.py").write_text(PLAIN)
    run_script(
        tmp_path,
        """
        import os, threading, time
        from plain import app, ask, all_well, child_asks
        ending, asked, children = threading.Event(), [], []

        def load(name):
            number = 0
            while not ending.is_set():
                ask(f"/load/{name}/{number}")
                app.stats()
                number += 1
                if number % 10 == 0:
                    time.sleep(0.001)
            asked.append(number)

        def fork():
            for number in range(200):
                child = os.fork()
                if not child:
                    child_asks(f"/child/{number}")
                children.append(child)
                if number % 20 == 0:
                    app.flush(0.01)

        threads = [threading.Thread(target=load, args=(name,)) for name in range(3)]
        forker = threading.Thread(target=fork)
        for thread in [*threads, forker]:
            thread.start()
        forker.join()
        ending.set()
        for thread in threads:
            thread.join()
        assert all_well(children)
        assert app.close(20)
        stats = app.stats()
        assert stats.captured == stats.sent + stats.dropped.get("queue_events", 0) == sum(asked), stats
        print(stats.sent)
        """,
        errors=None,  # on a machine that is slow enough, the queue is full for a moment, and says so
    )
    found = lines(tmp_path)
    assert {path for path, count in found.items() if count > 1} == set()
    assert sum(path.startswith("/child/") for path in found) == 200


@pytest.mark.timeout(90)
def test_a_fork_that_calls_no_hooks_is_noticed(tmp_path: Path) -> None:
    (tmp_path / "plain.py").write_text(PLAIN)
    run_script(
        tmp_path,
        """
        import ctypes, os, sys, threading, time, types
        sys.modules["uwsgi"] = types.ModuleType("uwsgi")  # as its servers find it, nearly
        from plain import app, ask, all_well, child_asks
        fork = ctypes.PyDLL(None).fork  # like uWSGI's: from C, past the hooks of Python
        ask("/parent/0")
        assert app.flush(5)
        # A thread that waits for its turn at a fork is waited for in the child, by CPython, for ever: ours is to sleep.
        (ours,) = set(threading.enumerate()) - {threading.main_thread()}
        for _ in range(3):
            time.sleep(0.05)
            while sys._current_frames()[ours.ident].f_code.co_name != "wait":
                time.sleep(0.05)
        children = []
        for number in range(20):
            if number:
                ask(f"/parent/{number}")
            child = fork()
            if not child:
                child_asks(f"/child/{number}")
            children.append(child)
        assert all_well(children)
        assert app.close(10)
        assert app.stats().sent == 20, app.stats()
        """,
        TOLLKEEPER_FLUSH_SECONDS="3600",
    )
    assert lines(tmp_path) == Counter(f"/{who}/{number}" for who in ("parent", "child") for number in range(20))


@pytest.mark.timeout(90)
@pytest.mark.parametrize("method", ["fork", "forkserver", "spawn"])
def test_children_of_multiprocessing_send_before_they_end(tmp_path: Path, method: str) -> None:
    run_script(
        tmp_path,
        f"""
        import multiprocessing
        from concurrent.futures import ProcessPoolExecutor
        from shop import app

        def work(number):
            app.test_client().get(f"/users/{{number}}", buffered=True)
            return number

        if __name__ == "__main__":
            app.test_client().get("/users/99", buffered=True)
            context = multiprocessing.get_context({method!r})
            workers = [context.Process(target=work, args=(number,)) for number in range(3)]
            for worker in workers:
                worker.start()
            with ProcessPoolExecutor(2, mp_context=context) as pool:
                assert sorted(pool.map(work, range(10, 16))) == list(range(10, 16))
            for worker in workers:
                worker.join(30)
            assert [worker.exitcode for worker in workers] == [0] * 3
        """,
    )
    assert paths(tmp_path) == Counter(f"/users/{number}" for number in (0, 1, 2, *range(10, 16), 99))


@pytest.mark.timeout(90)
def test_a_child_that_ends_by_itself_sends_and_another_program_in_its_place_takes_nothing_away(tmp_path: Path) -> None:
    run_script(
        tmp_path,
        """
        import os, subprocess, sys
        from shop import app, keeper
        client = app.test_client()
        client.get("/users/1", buffered=True)
        subprocess.run([sys.executable, "-c", "pass"], check=True)
        subprocess.run([sys.executable, "-c", "pass"], check=True, preexec_fn=os.getpid)
        replaced = os.fork()
        if not replaced:
            os.execv(sys.executable, [sys.executable, "-c", "pass"])
        assert os.waitpid(replaced, 0)[1] == 0
        idle = os.fork()
        if not idle:
            sys.exit(0)  # never captures anything: what the parent has waiting is not its own
        assert os.waitpid(idle, 0)[1] == 0
        if not os.fork():
            client.get("/users/2", buffered=True)
            sys.exit(0)
        assert os.wait()[1] == 0
        client.get("/users/3", buffered=True)
        """,
    )
    assert paths(tmp_path) == Counter(f"/users/{number}" for number in (1, 2, 3))


@pytest.mark.timeout(90)
@pytest.mark.parametrize("sink", ["sqlite:///usage.db", "http://localhost:9", "sqlite:///usage.db spool"])
def test_our_thread_imports_nothing(tmp_path: Path, sink: str) -> None:
    url, _, spool = sink.partition(" ")
    # A module that is being imported is locked. In a child that was forked then, its next import waits for ever.
    run_script(
        tmp_path,
        f"""
        import io, os, sys, threading
        from tollkeeper.wsgi import Tollkeeper

        PART = b'--b\\r\\nContent-Disposition: form-data; name="a"\\r\\n\\r\\n1\\r\\n--b--'
        found = []

        class Watch:
            def find_spec(self, name, path=None, target=None):
                if threading.current_thread().name.startswith("tollkeeper"):
                    found.append(name)

        def answer(environ, start_response):
            environ["wsgi.input"].read()
            if environ["REQUEST_METHOD"] == "PUT":
                raise ValueError("no")
            start_response("200 OK", [("Content-Type", "application/json")])
            return [b'{{"password": "x", "card": "4111 1111 1111 1111"}}']

        app = Tollkeeper(answer, sink={url!r}, spool={spool!r} or None)
        sys.meta_path.insert(0, Watch())
        for method, kind, body in [
            ("POST", "application/json", b'{{"token": "x", "deep": [{{"cvv": 1}}]}}'),
            ("POST", "application/x-www-form-urlencoded", b"a=1&password=2"),
            ("POST", "text/plain; charset=utf-8", b"hello"),
            ("POST", "multipart/form-data; boundary=b", PART),
            ("PUT", "application/json", b"[1"),
        ]:
            environ = {{
                "REQUEST_METHOD": method, "PATH_INFO": "/a", "QUERY_STRING": "token=1&b=2", "SERVER_NAME": "localhost",
                "SERVER_PORT": "80", "REMOTE_ADDR": "192.0.2.1", "HTTP_USER_AGENT": "Mozilla/5.0 Firefox/115.0",
                "HTTP_AUTHORIZATION": "Basic dTpw", "HTTP_REFERER": "https://u:p@example.com/?key=1",
                "CONTENT_TYPE": kind, "CONTENT_LENGTH": str(len(body)), "wsgi.input": io.BytesIO(body),
                "wsgi.url_scheme": "http",
            }}
            try:
                list(app(environ, lambda *_: None))
            except ValueError:
                pass
        app.flush(5 if {url!r}.startswith("sqlite") else 0.3)
        assert app.stats().captured == 5, app.stats()
        assert found == [], found
        os._exit(0)
        """,
        errors=None,
    )


@pytest.mark.timeout(90)
def test_uwsgi_without_threads_is_told_what_to_set(tmp_path: Path) -> None:
    (tmp_path / "plain.py").write_text(PLAIN)
    (tmp_path / "uwsgi.py").write_text("has_threads = 0")
    run_script(
        tmp_path,
        """
        import uwsgi
        from plain import app, ask
        for number in range(3):
            ask(f"/{number}")
        assert app.close(10)
        """,
        errors="Under uWSGI events leave only while it answers: set enable-threads = true.\n",
    )
    assert sum(lines(tmp_path).values()) == 3
