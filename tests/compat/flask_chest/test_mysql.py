"""The chest that is a table of a database, on MariaDB by PyMySQL."""

from __future__ import annotations

import os
import threading
from contextlib import closing
from typing import Any
from urllib.parse import unquote, urlsplit

import pymysql
import pytest

from compat.flask_chest.apps import make_app
from support.servers.mariadb import PASSWORD, MariaDB, mariadb
from tollkeeper.compat.flask_chest import FlaskChestMySQL, mysql
from tollkeeper.errors import ConfigurationError, SinkError

pytestmark = pytest.mark.timeout(120)
ADA = ("user", "ada", "1")


@pytest.fixture(scope="module")
def server() -> MariaDB:
    return mariadb()


@pytest.fixture
def url(server: MariaDB) -> str:
    return server.fresh_database()


def rows(server: MariaDB, url: str, table: str = "flask_chest") -> list[tuple[Any, ...]]:
    with closing(server.connect(url)) as connection, connection.cursor() as cursor:
        cursor.execute("SET NAMES utf8mb4")
        quoted = "`" + table.replace("`", "``") + "`"
        cursor.execute(f"SELECT unique_id, request_id, name, value FROM {quoted} ORDER BY unique_id")
        return list(cursor.fetchall())


def execute(server: MariaDB, url: str, sql: str) -> None:
    with closing(server.connect(url)) as connection, connection.cursor() as cursor:
        cursor.execute(sql)


def test_a_request_is_written_and_read_back(server: MariaDB, url: str) -> None:
    variables = {"user": "ada 🐘", "count": 3, "zero": 0, "empty": "", "none": None, "basket": {"lines": [1, "ü"]}}
    chest = FlaskChestMySQL(url)
    app = make_app([chest], variables, request_id_generator=lambda: "17" * 200)
    assert app.test_client().get("/").status_code == 200
    chest.close()
    assert rows(server, url) == [
        (1, ("17" * 200)[:255], "user", "ada 🐘"),
        (2, ("17" * 200)[:255], "count", "3"),
        (3, ("17" * 200)[:255], "zero", "0"),
        (4, ("17" * 200)[:255], "empty", ""),
        (5, ("17" * 200)[:255], "none", None),
        (6, ("17" * 200)[:255], "basket", '{"lines":[1,"ü"]}'),
    ]


def test_it_is_made_of_parts_or_of_one_url(server: MariaDB, url: str) -> None:
    parts = urlsplit(url)
    host, port, database = parts.hostname or "", parts.port or 3306, parts.path[1:]
    user, password = unquote(parts.username or ""), unquote(parts.password or "")
    for chest in (
        FlaskChestMySQL(host, port, user, password, database, "a"),
        FlaskChestMySQL(host=host, port=port, user=user, password=password, database=database, name="a"),
        FlaskChestMySQL(url, name="a"),
        FlaskChestMySQL(url.replace("mysql://", "mysql+pymysql://"), name="a"),
    ):
        chest.write([ADA])
        chest.close()
    assert [row[1:] for row in rows(server, url, "a")] == [("1", "user", "ada")] * 4


def test_the_table_is_that_of_sqlite(server: MariaDB, url: str) -> None:
    chest = FlaskChestMySQL(url)
    chest.write([ADA])
    chest.close()
    with closing(server.connect(url)) as connection, connection.cursor() as cursor:
        cursor.execute("SHOW COLUMNS FROM flask_chest")
        columns = {name: (kind.partition("(")[0], key, extra) for name, kind, _, key, _, extra in cursor.fetchall()}
        cursor.execute("SHOW TABLE STATUS")
        (status,) = cursor.fetchall()
    assert columns == {
        "unique_id": ("bigint", "PRI", "auto_increment"),
        "request_id": ("text", "", ""),
        "name": ("text", "", ""),
        "value": ("longtext", "", ""),
    }
    assert status[1] == "InnoDB"


@pytest.mark.parametrize("name", ["a `b`; DROP TABLE c", "select", "100 %s %", "ü"])
def test_names_are_quoted(server: MariaDB, url: str, name: str) -> None:
    chest = FlaskChestMySQL(url, name=name)
    chest.write([("'; DROP TABLE x -- %s", "\\' %s", "'")])
    chest.close()
    assert rows(server, url, name) == [(1, "'", "'; DROP TABLE x -- %s", "\\' %s")]


def test_two_chests_never_mix(server: MariaDB, url: str) -> None:
    chests = [FlaskChestMySQL(url, name=name) for name in "ab"]
    for chest in chests * 2:
        chest.write([("chest", chest.name, "1")])
    for chest in chests:
        chest.close()
        assert [row[1:] for row in rows(server, url, chest.name)] == [("1", "chest", chest.name)] * 2


def test_nothing_is_opened_before_the_first_write() -> None:
    chest = FlaskChestMySQL("mysql://user:pw@127.0.0.1:1/nowhere")
    chest.write([])
    chest.close()
    with pytest.raises(SinkError, match=r"MySQL at 127\.0\.0\.1:1 .* error 2003"):
        chest.write([ADA])


def test_one_transaction_a_request(server: MariaDB, url: str) -> None:
    chest = FlaskChestMySQL(url)
    chest.write([ADA])
    execute(
        server,
        url,
        "CREATE TRIGGER refuse BEFORE INSERT ON flask_chest FOR EACH ROW IF new.name = 'bad' "
        "THEN SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'not s3cret'; END IF",
    )
    with pytest.raises(SinkError, match="error 1644") as caught:
        chest.write([("good", 1, "2"), ("bad", "s3cret", "2")])
    chest.write([("good", 1, "3")])
    chest.close()
    assert "s3cret" not in str(caught.value)
    assert [row[1] for row in rows(server, url)] == ["1", "3"]


def test_it_reconnects_when_the_server_was_away(server: MariaDB, url: str) -> None:
    if server.process is None:
        pytest.skip("the server is not ours to stop")
    chest = FlaskChestMySQL(url)
    client = make_app([chest], {"user": "ada"}, raise_exceptions=False).test_client()
    client.get("/")
    server.process.stop()
    assert client.get("/").status_code == 200
    assert chest.lost == 1
    server.process.start()
    client.get("/")
    server.process.kill()
    server.process.start()
    client.get("/")  # the connection broke in between, and no request but the one above is lost
    chest.close()
    assert chest.lost == 1
    assert len(rows(server, url)) == 3


def test_a_connection_that_the_server_killed_is_made_anew(server: MariaDB, url: str) -> None:
    chest = FlaskChestMySQL(url)
    chest.write([ADA])
    (connection,) = chest._pool._ours()
    execute(server, url, f"KILL {connection.thread_id()}")
    chest.write([ADA])
    execute(server, url, "DROP TABLE flask_chest")
    chest.write([ADA])
    chest.close()
    assert len(rows(server, url)) == 1


def test_a_commit_that_is_not_confirmed_is_an_error_and_not_repeated(
    server: MariaDB, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    chest = FlaskChestMySQL(url)
    chest.write([ADA])

    def commit(connection: Any) -> None:
        pymysql.connections.Connection.query(connection, "COMMIT")
        raise pymysql.err.OperationalError(2013, "Lost connection to server during query")

    with monkeypatch.context() as patched:
        patched.setattr(pymysql.connections.Connection, "commit", commit)
        with pytest.raises(SinkError, match="error 2013"):
            chest.write([("user", "bob", "2")])
    assert len(chest._pool._ours()) == 0
    chest.write([("user", "eve", "3")])
    chest.close()
    assert [row[3] for row in rows(server, url)] == ["ada", "bob", "eve"]


def test_threads_write_at_once(server: MariaDB, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tollkeeper.compat.flask_chest.pool.MAX_IDLE", 2)
    chest = FlaskChestMySQL(url)
    app = make_app([chest], {"a": 1, "b": 2})
    statuses: list[int] = []

    def work() -> None:
        client = app.test_client()
        statuses.extend(client.get("/").status_code for _ in range(10))

    threads = [threading.Thread(target=work) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert statuses == [200] * 60
    assert len(chest._pool._ours()) <= 2
    chest.close()
    assert len({row[1] for row in rows(server, url)}) == 60
    assert len(rows(server, url)) == 120


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_parent_and_child_of_a_fork_write(server: MariaDB, url: str) -> None:
    chest = FlaskChestMySQL(url)
    chest.write([("who", "parent", "1")])
    child = os.fork()
    if not child:
        code = 1
        try:
            chest.write([("who", "child", "2")])
            chest.close()
            code = 0
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    (kept,) = chest._pool._ours()
    chest.write([("who", "parent", "3")])
    assert list(chest._pool._ours()) == [kept], "the child has not ended the parent's connection"
    chest.close()
    assert [row[3] for row in rows(server, url)] == ["parent", "child", "parent"]


def test_a_wrong_password_is_told_and_not_shown(server: MariaDB, url: str) -> None:
    parts = urlsplit(url)
    chest = FlaskChestMySQL(parts.hostname or "", parts.port or 3306, "tester", PASSWORD + "s3cret", parts.path[1:])
    with pytest.raises(SinkError, match="error 1045") as caught:
        chest.write([ADA])
    for shown in (str(caught.value), str(chest), repr(chest.__dict__)):
        assert "s3cret" not in shown
    assert chest.to_dict()["host"] == parts.hostname
    assert server.url.startswith("mysql://")


def test_half_of_a_pair_and_a_value_that_is_too_large(server: MariaDB, url: str) -> None:
    chest = FlaskChestMySQL(url)
    chest.write([("half", "\ud83d", "1")])
    with pytest.raises(SinkError, match="MySQL at"):
        chest.write([("large", "s3cret" * 2**22, "2")])
    chest.write([ADA])
    chest.close()
    assert [row[3] for row in rows(server, url)] == ["\\ud83d", "ada"]


@pytest.mark.parametrize(
    "url",
    ["sqlite:///x", "mysql://host", "mysql:///s3cret", "mysql://u:s3cret@h:port/d", "mysql://u:s3cret@h/d?ssl=1"],
)
def test_a_url_of_no_database_is_refused(url: str) -> None:
    with pytest.raises(ConfigurationError, match="URL of") as caught:
        FlaskChestMySQL(url)
    assert "s3cret" not in str(caught.value)


def test_a_name_that_no_table_can_have_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="another name"):
        FlaskChestMySQL("mysql://h/d", name="")


def test_without_the_driver_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str, extra: str) -> None:
        raise ConfigurationError(f"{name}: {extra}")

    monkeypatch.setattr(mysql, "import_driver", missing)
    with pytest.raises(ConfigurationError, match="pymysql: mysql"):
        FlaskChestMySQL("mysql://h/d")


def test_a_table_that_cannot_be_made_leaves_no_connection(server: MariaDB, url: str) -> None:
    chest = FlaskChestMySQL(url, name="x" * 100)
    with pytest.raises(SinkError, match="error 1103"):
        chest.write([ADA])
    assert len(chest._pool._ours()) == 0
    assert server.url
