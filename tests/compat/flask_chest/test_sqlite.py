"""The chest that is a table of a SQLite file."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
import threading
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from flask import Flask

from compat.flask_chest.apps import make_app
from support.children import in_child
from tollkeeper.compat.flask_chest import FlaskChestSQLite
from tollkeeper.errors import ConfigurationError, SinkError

if TYPE_CHECKING:
    from collections.abc import Iterator

READ = 'SELECT unique_id, request_id, name, value FROM "{}"'


def rows(file: Path, table: str = "flask_chest") -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(file)) as connection:
        return connection.execute(READ.format(table.replace('"', '""'))).fetchall()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "db.sqlite3"


@pytest.fixture
def chest(file: Path) -> Iterator[FlaskChestSQLite]:
    chest = FlaskChestSQLite(Flask("shop"), db_uri=str(file))
    yield chest
    chest.close()


def test_the_defaults_are_those_that_are_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    app = Flask("shop")
    chest = FlaskChestSQLite(app)
    assert (chest.app, chest.name, chest.db_uri) == (app, "flask_chest", "db.sqlite3")
    monkeypatch.chdir("/")
    chest.write([("user", "ada", "1")])
    chest.close()
    assert rows(tmp_path / "db.sqlite3") == [(1, "1", "user", "ada")]


def test_nothing_is_opened_before_the_first_write(chest: FlaskChestSQLite, file: Path) -> None:
    chest.write([])
    chest.close()
    assert not file.exists()


def test_the_table_is_that_of_flask_chest(chest: FlaskChestSQLite, file: Path) -> None:
    chest.write([("user", "ada", "1")])
    with closing(sqlite3.connect(file)) as connection:
        columns = [column[1:3] + column[5:] for column in connection.execute("PRAGMA table_info(flask_chest)")]
        (sql,) = connection.execute("SELECT sql FROM sqlite_master WHERE name = 'flask_chest'").fetchone()
    assert columns == [
        ("unique_id", "INTEGER", 1),
        ("request_id", "TEXT", 0),
        ("name", "TEXT", 0),
        ("value", "TEXT", 0),
    ]
    assert "unique_id INTEGER PRIMARY KEY AUTOINCREMENT" in sql


def test_a_table_that_flask_chest_has_made_goes_on(chest: FlaskChestSQLite, file: Path) -> None:
    with closing(sqlite3.connect(file)) as connection, connection:
        connection.execute(
            "CREATE TABLE flask_chest (unique_id INTEGER PRIMARY KEY AUTOINCREMENT, "
            "request_id TEXT, name TEXT, value TEXT)"
        )
        connection.execute("INSERT INTO flask_chest (request_id, name, value) VALUES ('old', 'user', 'bob')")
    chest.write([("user", "ada", "new")])
    assert rows(file) == [(1, "old", "user", "bob"), (2, "new", "user", "ada")]


def test_a_request_is_written(chest: FlaskChestSQLite, file: Path) -> None:
    variables = {"user": "ada", "count": 3, "zero": 0, "empty": "", "none": None, "basket": {"lines": [1, "ü"]}}
    app = make_app([chest], variables, request_id_generator=lambda: "17")
    assert app.test_client().get("/").status_code == 200
    assert [row[1:] for row in rows(file)] == [
        ("17", "user", "ada"),
        ("17", "count", "3"),
        ("17", "zero", "0"),
        ("17", "empty", ""),
        ("17", "none", None),
        ("17", "basket", '{"lines":[1,"ü"]}'),
    ]


def test_two_chests_never_mix(tmp_path: Path) -> None:
    files = [tmp_path / "one.db", tmp_path / "two.db"]
    chests = [
        FlaskChestSQLite(None, "a", str(files[0])),
        FlaskChestSQLite(None, "b", str(files[0])),
        FlaskChestSQLite(None, "c", f"sqlite:///{files[1]}"),
    ]
    for chest in chests:
        chest.write([("chest", chest.name, "1")])
        chest.write([("chest", chest.name, "2")])
    for chest in chests:
        chest.close()
    for file, name in zip([files[0], files[0], files[1]], "abc", strict=True):
        assert [row[1:] for row in rows(file, name)] == [("1", "chest", name), ("2", "chest", name)]


@pytest.mark.parametrize("name", ['a "b"; DROP TABLE c', "select", "a.b", "ü'%s`"])
def test_names_are_quoted(file: Path, name: str) -> None:
    chest = FlaskChestSQLite(None, name, file)
    chest.write([("'; DROP TABLE x --", "'", "'")])
    chest.close()
    assert rows(file, name) == [(1, "'", "'; DROP TABLE x --", "'")]


@pytest.mark.parametrize("name", ["", "a\0b"])
def test_a_name_that_no_table_can_have_is_refused(name: str) -> None:
    with pytest.raises(ConfigurationError, match="another name"):
        FlaskChestSQLite(None, name)


def test_one_transaction_a_request(chest: FlaskChestSQLite, file: Path) -> None:
    chest.write([("user", "ada", "1")])
    statements: list[str] = []
    chest._opened[0].set_trace_callback(statements.append)
    chest.write([("a", 1, "2"), ("b", 2, "2"), ("c", 3, "2")])
    assert [text for text in statements if text in {"BEGIN IMMEDIATE", "COMMIT"}] == ["BEGIN IMMEDIATE", "COMMIT"]
    assert sum("INSERT" in text for text in statements) == 3
    with closing(sqlite3.connect(file)) as connection, connection:
        connection.execute(
            "CREATE TRIGGER refuse BEFORE INSERT ON flask_chest WHEN new.name = 'bad' "
            "BEGIN SELECT RAISE(ABORT, 'refused'); END"
        )
    with pytest.raises(SinkError, match="refused"):
        chest.write([("good", 1, "3"), ("bad", 2, "3")])
    assert {row[1] for row in rows(file)} == {"1", "2"}


def test_what_is_written_outlives_the_process(chest: FlaskChestSQLite) -> None:
    chest.write([("user", "ada", "1")])
    connection = chest._opened[0]
    assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    assert connection.execute("PRAGMA synchronous").fetchone() == (1,), "NORMAL"


def test_it_is_on_disk_where_that_is_asked_for(file: Path) -> None:
    chest = FlaskChestSQLite(None, db_uri=file, synchronous="FULL")
    chest.write([("user", "ada", "1")])
    assert chest._opened[0].execute("PRAGMA synchronous").fetchone() == (2,), "FULL"
    chest.close()
    with pytest.raises(ConfigurationError, match="'FULL' or 'NORMAL'"):
        FlaskChestSQLite(None, synchronous="OFF")  # type: ignore[arg-type]  # what is shown


def test_a_file_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    chest = FlaskChestSQLite(None, db_uri=tmp_path / "nowhere" / "db.sqlite3")
    with pytest.raises(SinkError, match=r"nowhere/db\.sqlite3: unable to open"):
        chest.write([("user", "s3cret", "1")])
    (tmp_path / "nowhere").mkdir()
    chest.write([("user", "ada", "1")])
    chest.close()
    (tmp_path / "text").write_text("no database at all, and long enough to see it" * 20)
    other = FlaskChestSQLite(None, db_uri=tmp_path / "text")
    with pytest.raises(SinkError, match="not a database"):
        other.write([("user", "ada", "1")])


def test_a_table_that_is_dropped_and_a_file_that_is_replaced_are_made_again(
    chest: FlaskChestSQLite, file: Path
) -> None:
    chest.write([("user", "ada", "1")])
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("DROP TABLE flask_chest")
    chest.write([("user", "ada", "2")])
    assert [row[1] for row in rows(file)] == ["2"]
    for name in ("", "-wal", "-shm"):
        file.with_name(file.name + name).unlink(missing_ok=True)
    chest.write([("user", "ada", "3")])
    assert [row[1] for row in rows(file)] == ["3"]


def test_memory_is_kept_while_the_chest_is_open() -> None:
    chest = FlaskChestSQLite(None, db_uri=":memory:")
    chest.write([("user", "ada", "1")])
    chest.write([("user", "ada", "2")])
    assert len(chest._opened[0].execute("SELECT * FROM flask_chest").fetchall()) == 2
    chest.close()
    assert not Path(":memory:").exists()


def test_threads_write_at_once(chest: FlaskChestSQLite, file: Path) -> None:
    app = make_app([chest], {"a": 1, "b": 2})
    statuses: list[int] = []

    def work() -> None:
        client = app.test_client()
        statuses.extend(client.get("/").status_code for _ in range(25))

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert statuses == [200] * 200
    written = rows(file)
    assert len(written) == 400
    assert all(one[1] == other[1] for one, other in zip(written[::2], written[1::2], strict=True)), "requests are whole"


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_parent_and_child_of_a_fork_write(chest: FlaskChestSQLite, file: Path) -> None:
    chest.write([("who", "parent", "1")])
    assert in_child(lambda: chest.write([("who", "child", "2")])) == 0
    chest.write([("who", "parent", "3")])
    assert [row[1:] for row in rows(file)] == [("1", "who", "parent"), ("2", "who", "child"), ("3", "who", "parent")]


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_fork_in_the_middle_of_a_write_does_not_block_the_child(
    chest: FlaskChestSQLite, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tollkeeper.forks.FORK_WAIT_SECONDS", 0.1)
    chest.write([("who", "parent", "1")])
    inside, go_on = threading.Event(), threading.Event()

    def slow() -> None:
        with chest._lock:
            inside.set()
            go_on.wait(30)

    thread = threading.Thread(target=slow)
    thread.start()
    inside.wait(30)
    code = in_child(lambda: chest.write([("who", "child", "2")]))
    go_on.set()
    thread.join(30)
    assert code == 0
    chest.write([("who", "parent", "3")])
    assert [row[1] for row in rows(file)] == ["1", "2", "3"]


def test_a_fork_past_the_hooks_of_python_is_noticed(chest: FlaskChestSQLite, file: Path) -> None:
    chest.write([("who", "parent", "1")])
    chest._process -= 1  # as in a child of uWSGI
    inherited = chest._opened[0]
    chest.write([("who", "child", "2")])
    assert chest._orphans == [inherited]
    assert len(rows(file)) == 2
    inherited.close()


def test_a_chest_that_is_forgotten_closes_its_file(file: Path) -> None:
    code = (
        "import gc, sys\nfrom tollkeeper.compat.flask_chest import FlaskChestSQLite\n"
        "chest = FlaskChestSQLite(None, db_uri=sys.argv[1])\nchest.write([('user', 'ada', '1')])\n"
        "connection = chest._opened[0]\ndel chest\ngc.collect()\n"
        "try:\n    connection.execute('SELECT 1')\nexcept Exception as error:\n    print(error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code, file], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.strip() == "Cannot operate on a closed database."


def test_it_describes_itself(chest: FlaskChestSQLite, file: Path) -> None:
    assert chest.to_dict() == {"type": "sqlite", "name": "flask_chest", "db_uri": str(file)}
    assert str(file) in str(chest)


def test_a_killed_process_leaves_whole_requests_and_all_that_were_answered(file: Path) -> None:
    code = (
        "import itertools, sys\nfrom tollkeeper.compat.flask_chest import FlaskChestSQLite\n"
        "chest = FlaskChestSQLite(None, db_uri=sys.argv[1])\n"
        "for number in itertools.count():\n"
        "    chest.write([(name, number, str(number)) for name in 'abc'])\n"
        "    print(number, flush=True)\n"
    )
    process = subprocess.Popen([sys.executable, "-c", code, file], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    answered = [int(process.stdout.readline()) for _ in range(200)]
    process.kill()
    answered += [int(line) for line in process.stdout.read().split("\n")[:-1]]
    process.wait(30)
    process.stdout.close()
    written = [row[1] for row in rows(file)]
    assert written == [str(number) for number in range(len(written) // 3) for _ in "abc"]
    assert len(answered) <= len(written) // 3 <= len(answered) + 1
