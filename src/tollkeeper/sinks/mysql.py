"""Insert events into one table of a MySQL or MariaDB database."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import parse_qsl, unquote, urlsplit

from tollkeeper.errors import ConfigurationError
from tollkeeper.sinks.database import DatabaseSink, Fault
from tollkeeper.sinks.driver import import_driver
from tollkeeper.sinks.rows import COLUMNS, TABLE, row_of
from tollkeeper.unhurried import Unhurried

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pymysql

    from tollkeeper.events.event import UsageEvent

__all__ = ["MySQLSink"]

OPTIONS = frozenset({"ssl_ca", "ssl_cert", "ssl_key", "unix_socket"})
SWITCHES = frozenset({"ssl_verify_cert", "ssl_verify_identity"})
HELP = (
    "use mysql://USER:PASSWORD@HOST:3306/DATABASE, with an @ or / in the password as %40 or %2F; behind a '?' it "
    f"may have {', '.join(sorted(OPTIONS))} as paths, {' and '.join(sorted(SWITCHES))} as true or false"
)
CREATE = """
CREATE TABLE IF NOT EXISTS {table} (
    source VARCHAR(255) NOT NULL,
    id VARCHAR(255) NOT NULL,
    time DATETIME(6) NOT NULL,
    method VARCHAR(32) NOT NULL,
    path TEXT NOT NULL,
    route VARCHAR(1024),
    status_code INTEGER NOT NULL,
    elapsed_time DOUBLE,
    consumer VARCHAR(255),
    api VARCHAR(255),
    api_version VARCHAR(255),
    units DECIMAL(34, 6) NOT NULL,
    document JSON NOT NULL,
    PRIMARY KEY (source, id),
    KEY {index} (time)
) ENGINE = InnoDB, ROW_FORMAT = DYNAMIC, CHARACTER SET utf8mb4, COLLATE {collation}
"""
# Without them, 'a', 'A' and 'a ' are one key: the first is MySQL's, the second MariaDB's name of the same order.
COLLATIONS = """
SELECT collation_name FROM information_schema.collations
WHERE collation_name IN ('utf8mb4_0900_bin', 'utf8mb4_nopad_bin', 'utf8mb4_bin')
ORDER BY collation_name = 'utf8mb4_bin' LIMIT 1
"""
# INSERT IGNORE would take values that do not fit, and cut them.
INSERT = (
    f"INSERT INTO {{table}} ({', '.join(COLUMNS)}) VALUES ({', '.join('%s' for _ in COLUMNS)}) "  # noqa: S608 - constants
    "ON DUPLICATE KEY UPDATE id = id"
)
SQL_MODE = "STRICT_ALL_TABLES,NO_ZERO_DATE,NO_ZERO_IN_DATE,ERROR_FOR_DIVISION_BY_ZERO,NO_ENGINE_SUBSTITUTION"
NO_SUCH_TABLE = 1146
# Not known to the driver as errors of data: text and JSON that are not valid, a row that is too large, a constraint.
REFUSED = frozenset({1118, 1366, 1300, 3140, 3141, 3157, 3819, 4025, 4038})
# What is there under our name has other columns, is no table, or cannot be one.
CONFUSED = frozenset({1054, 1064, 1102, 1103, 1136, 1146, 1347, 1364, 1471})
# The server has gone away, was lost, shuts down or ended us; the socket is not ours any more.
ENDED = frozenset({0, 1053, 1927, 2006, 2013, 2055, 3169, 4031})
MARGIN_BYTES = 2**16


class MySQLSink(DatabaseSink["pymysql.Connection[Any]"]):
    """Writes each batch as one transaction into ``table``, which is made when it is not there.

    ``table`` may name its database, as in ``reports.usage_events``; ``timeout`` is in seconds, to connect, and for each
    reading and writing.
    """

    def __init__(self, url: str, *, table: str = TABLE, timeout: float = 10.0) -> None:
        self._driver = import_driver("pymysql", "mysql")
        self._arguments = _arguments(url)
        host, port, database = (self._arguments[name] for name in ("host", "port", "database"))
        super().__init__(f"mysql://{host}:{port}/{database}")
        self._seconds = timeout
        name = ".".join(f"`{part.replace('`', '``')}`" for part in table.split("."))
        self._write = INSERT.format(table=name.replace("%", "%%"))
        self._create = CREATE.replace("{table}", name).replace("{index}", "usage_events_time")
        self._packet_bytes = 0

    @classmethod
    def from_url(cls, url: str) -> Self:
        """Make the sink of ``mysql://USER:PASSWORD@HOST:3306/DATABASE``; raises ConfigurationError."""
        return cls(url)

    def _open(self) -> pymysql.Connection[Any]:
        made: pymysql.Connection[Any] = self._driver.connect(
            **self._arguments,
            charset="utf8mb4",
            sql_mode=SQL_MODE,
            connect_timeout=self._seconds,
            read_timeout=self._seconds,
            write_timeout=self._seconds,
        )
        try:
            self._packet_bytes = int(_ask(made, "SELECT @@max_allowed_packet"))
        except BaseException:
            self._close(made)
            raise
        return made

    def _close(self, connection: pymysql.Connection[Any]) -> None:
        connection._force_close()  # noqa: SLF001 - close() would write to it first

    def _insert(self, connection: pymysql.Connection[Any], events: Sequence[UsageEvent]) -> None:
        # The driver writes the statement in Python, row by row, before it sends anything.
        rows = Unhurried([self._values(connection, event) for event in events])
        try:
            self._insert_rows(connection, rows)
        except self._driver.Error as error:
            if error.args[0] != NO_SUCH_TABLE:
                raise
            with connection.cursor() as cursor:
                cursor.execute(self._create.replace("{collation}", _ask(connection, COLLATIONS)))
            self._insert_rows(connection, rows)

    def _insert_rows(self, connection: pymysql.Connection[Any], rows: list[tuple[Any, ...]]) -> None:
        with connection.cursor() as cursor:
            cursor.max_stmt_length = min(cursor.max_stmt_length, self._packet_bytes - MARGIN_BYTES)
            try:
                cursor.executemany(self._write, rows)
                connection.commit()
            except self._driver.Error:
                with suppress(self._driver.Error):
                    connection.rollback()
                raise

    def _values(self, connection: pymysql.Connection[Any], event: UsageEvent) -> tuple[Any, ...]:
        source, name, time, *values, document = row_of(event)
        room = self._packet_bytes - MARGIN_BYTES
        if len(document) * 2 > room and len(connection.escape(document).encode()) > room:
            raise ValueError  # the server would end the connection
        return (source, name, time.astimezone(UTC).replace(tzinfo=None), *values, document)

    def _judge(self, error: Exception) -> tuple[Fault, str]:
        if not isinstance(error, self._driver.Error):
            return super()._judge(error)
        code, why = (*error.args, "", "")[:2] if error.args else (0, "")
        why = f"{why or 'the connection is closed'} ({code})"
        if isinstance(error.__cause__ or error.__context__, TimeoutError):
            return Fault.SERVER, f"no answer in {self._seconds:g} seconds"
        if code in CONFUSED:
            return Fault.SINK, f"{why}: name another table"
        if code in REFUSED or isinstance(error, self._driver.DataError | self._driver.IntegrityError):
            return Fault.EVENT, why
        return (Fault.CONNECTION if code in ENDED else Fault.SERVER), why


def _ask(connection: pymysql.Connection[Any], query: str) -> Any:
    with connection.cursor() as cursor:
        cursor.execute(query)
        return cursor.fetchone()[0]


def _arguments(url: str) -> dict[str, Any]:
    """From the URL to what the driver is given.

    Raises:
        ConfigurationError: it is no URL of a database; the message shows nothing of it.
    """
    try:
        parts = urlsplit(url)
        options = dict(parse_qsl(parts.query, keep_blank_values=True, strict_parsing=bool(parts.query)))
        place = {"host": parts.hostname or "localhost", "port": parts.port or 3306}
    except ValueError:
        parts, options, place = urlsplit(""), {}, {}
    database = unquote(parts.path[1:])
    switches_fit = all(options[name] in {"true", "false"} for name in SWITCHES & options.keys())
    if (
        parts.scheme not in {"mysql", "mariadb"}
        or not database
        or options.keys() - OPTIONS - SWITCHES
        or not switches_fit
    ):
        raise ConfigurationError(f"The MySQL URL of a sink cannot be read: {HELP}.")
    user, password = unquote(parts.username or ""), unquote(parts.password or "")
    given: dict[str, Any] = {name: value == "true" if name in SWITCHES else value for name, value in options.items()}
    return given | place | {"user": user or None, "password": password, "database": database}
