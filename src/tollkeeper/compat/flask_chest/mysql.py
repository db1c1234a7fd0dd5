"""A chest that is a table of a MySQL or MariaDB database."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from tollkeeper.compat.flask_chest.chest import FlaskChest
from tollkeeper.compat.flask_chest.pool import Pool
from tollkeeper.compat.flask_chest.values import to_text
from tollkeeper.errors import ConfigurationError, SinkError
from tollkeeper.sinks.driver import import_driver

if TYPE_CHECKING:
    import logging
    from collections.abc import Sequence

    from tollkeeper.compat.flask_chest.chest import Variable

__all__ = ["FlaskChestMySQL"]

PORT = 3306
EXAMPLE = "mysql://USER:PASSWORD@HOST:3306/DATABASE"
CONNECT_SECONDS, ANSWER_SECONDS = 5, 10
# The server is going down, killed the connection, or ended it because it was idle; the table is gone.
WORTH_A_NEW_CONNECTION = frozenset({1053, 1927, 4031, 1146})
# Access, names, privileges, packets that are too large: nothing of what was to be written is in their text.
TOLD = frozenset({1044, 1045, 1046, 1049, 1142, 1146, 1153, 1205, 1213, 2003, 2006, 2013})
Row = tuple[str, str, str | None]


class FlaskChestMySQL(FlaskChest):
    """Writes the variables of a request as rows of the table ``name``, in one transaction.

    In the place of ``host`` may stand a URL with all of it, ``mysql://USER:PASSWORD@HOST:3306/DATABASE``. ``options``
    go to ``pymysql.connect``, such as ``ssl``. It connects at the first write, makes its table then, and connects again
    when the server ended a connection; a write whose commit was not confirmed is an error, never repeated.

    Raises:
        ConfigurationError: PyMySQL is missing, the URL is none, or no table can have this name.
    """

    def __init__(  # noqa: PLR0917 - the signature that is documented
        self,
        host: str = "127.0.0.1",
        port: int = PORT,
        user: str = "",
        password: str = "",
        database: str = "",
        name: str = "flask_chest",
        *,
        logger: logging.Logger | None = None,
        **options: Any,
    ) -> None:
        super().__init__(logger=logger)
        if not name or "\0" in name:
            raise ConfigurationError(f"No table can be named {name!r}: give the chest another name.")
        self._driver = import_driver("pymysql", "mysql")
        if "://" in host:
            host, port, user, password, database = _parts(host)
        self.name, self.host, self.port, self.database = name, host, int(port), database
        # A percent sign would be taken for a placeholder where values are put in.
        table = "`" + name.replace("`", "``") + "`"
        self._create = (
            f"CREATE TABLE IF NOT EXISTS {table} "
            "(unique_id BIGINT PRIMARY KEY AUTO_INCREMENT, request_id TEXT, name TEXT, value LONGTEXT) "
            "ENGINE InnoDB CHARACTER SET utf8mb4"
        )
        self._insert = f"INSERT INTO {table.replace('%', '%%')} (request_id, name, value) VALUES (%s, %s, %s)"  # noqa: S608 - quoted above
        options = {"connect_timeout": CONNECT_SECONDS, "read_timeout": ANSWER_SECONDS} | options
        options = {"write_timeout": ANSWER_SECONDS, "charset": "utf8mb4"} | options
        whereto = {"host": host, "port": self.port, "user": user, "password": password, "database": database}
        self._pool: Pool[Any] = Pool(lambda: self._connect(options | whereto), lambda connection: connection.close())

    def to_dict(self) -> dict[str, Any]:
        """Describe the chest without its user and password."""
        return {
            "type": "mysql",
            "name": self.name,
            "host": self.host,
            "port": self.port,
            "database": self.database,
        }

    def write(self, context_tuple_list: Sequence[Variable]) -> None:
        """Add a row for each variable, or none.

        Raises:
            SinkError: the server cannot be reached or refuses; or it did not confirm the commit, and may have them.
        """
        rows = [(request_id, name, to_text(name, value)) for name, value, request_id in context_tuple_list]
        if not rows:
            return
        try:
            self._write(rows)
        except (self._driver.err.Error, OSError) as error:
            raise SinkError(f"MySQL at {self.host}:{self.port} did not take the variables: {_told(error)}.") from None

    def close(self) -> None:
        """Close idle connections."""
        self._pool.close()

    def _write(self, rows: list[Row]) -> None:
        connection = self._put_on_one_that_lives(rows)
        try:
            connection.commit()
        except BaseException:  # nobody knows whether it was done: to repeat it might double the rows
            self._pool.drop(connection)
            raise
        self._pool.give(connection)

    def _put_on_one_that_lives(self, rows: list[Row]) -> Any:
        """Return the connection, with rows that are not committed: those of one that broke are gone with it."""
        while True:
            connection, is_new = self._pool.take()
            try:
                self._put(connection, rows)
            except BaseException as error:
                self._pool.drop(connection)
                if is_new or not _is_worth_another(connection, error):
                    raise
                self._pool.close()  # what befell this one befell those that waited beside it
            else:
                return connection

    def _put(self, connection: Any, rows: list[Row]) -> None:
        with connection.cursor() as cursor:
            cursor.executemany(self._insert, rows)

    def _connect(self, options: dict[str, Any]) -> Any:
        connection = self._driver.connect(autocommit=False, **options)
        try:
            with connection.cursor() as cursor:
                cursor.execute(self._create)
        except BaseException:
            with suppress(Exception):
                connection.close()
            raise
        return connection


def _is_worth_another(connection: Any, error: BaseException) -> bool:
    return not connection.open or bool(error.args and error.args[0] in WORTH_A_NEW_CONNECTION)


def _parts(url: str) -> tuple[str, int, str, str, str]:
    try:
        parts = urlsplit(url)
        port = parts.port or PORT
    except ValueError:
        raise ConfigurationError(f"This is no URL of a MySQL database: use {EXAMPLE}.") from None
    database = unquote(parts.path.removeprefix("/"))
    if parts.scheme.partition("+")[0] not in {"mysql", "mariadb"} or not parts.hostname or not database:
        raise ConfigurationError(f"This is no URL of a MySQL database: use {EXAMPLE}.")
    if parts.query or parts.fragment:
        raise ConfigurationError("The URL of the MySQL database has options: pass them as arguments, such as ssl=….")
    return parts.hostname, port, unquote(parts.username or ""), unquote(parts.password or ""), database


def _told(error: BaseException) -> str:
    """What the server or the driver says, without the values that were to be written."""
    if len(error.args) > 1 and isinstance(error.args[0], int):
        return f"error {error.args[0]}" + (f", {error.args[1]}" if error.args[0] in TOLD else "")
    return type(error).__name__
