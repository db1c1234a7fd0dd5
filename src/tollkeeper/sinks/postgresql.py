"""Insert events into one table of a PostgreSQL database."""

from __future__ import annotations

import selectors
import time
from typing import TYPE_CHECKING, Any, Self

import msgspec

from tollkeeper.errors import ConfigurationError
from tollkeeper.sinks.database import DatabaseSink, Fault
from tollkeeper.sinks.driver import import_driver
from tollkeeper.sinks.rows import COLUMNS, TABLE

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Sequence

    import psycopg

    from tollkeeper.events.event import UsageEvent

__all__ = ["PostgreSQLSink"]

HELP = "use postgresql://USER:PASSWORD@HOST:5432/DATABASE, or what else libpq takes for a connection URI"
CREATE = """
CREATE TABLE IF NOT EXISTS {table} (
    source text NOT NULL,
    id text NOT NULL,
    time timestamptz NOT NULL,
    method text NOT NULL,
    path text NOT NULL,
    route text,
    status_code integer NOT NULL,
    elapsed_time double precision,
    consumer text,
    api text,
    api_version text,
    units numeric NOT NULL,
    document jsonb NOT NULL,
    PRIMARY KEY (source, id)
)
"""
CREATE_INDEX = "CREATE INDEX IF NOT EXISTS {index} ON {table} (time)"
# What an event leaves out on the wire is at its default.
VALUES = {
    "source": "coalesce(event->>'source', '')",
    "id": "coalesce(event->>'id', '')",
    "time": "(event->>'time')::timestamptz",
    "status_code": "(event->>'status_code')::integer",
    "elapsed_time": "(event->'request'->>'elapsed_time')::double precision",
    "consumer": "event->'consumer'->>'key'",
    "units": "coalesce((event->>'units')::numeric, 1)",
    "document": "event",
}
# One statement of fixed length for a batch of any size, and one value, taken apart by the server: the driver takes a
# tenth of a millisecond of Python to write the values of an event, in which no request of the app would be answered.
INSERT = f"""
INSERT INTO {{table}} ({", ".join(COLUMNS)})
SELECT {", ".join(VALUES.get(name, f"event->>'{name}'") for name in COLUMNS)}
FROM jsonb_array_elements(%s::jsonb) AS event
ON CONFLICT (source, id) DO NOTHING
"""  # noqa: S608 - constants
# IF NOT EXISTS is checked too early for processes that make the same table at once.
LOCK = "SELECT pg_advisory_xact_lock(hashtextextended('tollkeeper ' || %s, 0))"
# By SQLSTATE: values and limits that a row breaks; what is not there or not so; a connection that ended.
REFUSED = ("22", "23", "54")
CONFUSED = ("42", "0A")
ENDED = ("08", "57P")
FORBIDDEN = "42501"
ENCODER = msgspec.json.Encoder()


class PostgreSQLSink(DatabaseSink["psycopg.Connection[Any]"]):
    """Writes each batch as one committed statement into ``table``, which is made when it is not there.

    ``url`` is a connection URI or string of libpq; ``table`` may name its schema, as in ``reports.usage_events``.
    ``timeout`` is in seconds, to connect and for each exchange.
    """

    def __init__(self, url: str, *, table: str = TABLE, timeout: float = 10.0) -> None:
        self._driver = import_driver("psycopg", "postgresql")
        try:
            parts = self._driver.conninfo.conninfo_to_dict(url)
        except self._driver.Error:  # its message may show a part of the password
            raise ConfigurationError(f"The PostgreSQL URL of a sink cannot be read: {HELP}.") from None
        super().__init__(f"postgresql://{parts.get('host', '')}/{parts.get('dbname', '')}")
        self._url = url
        self._seconds = timeout
        self._options = {"connect_timeout": max(2, round(timeout))} if "connect_timeout" not in parts else {}
        quote = self._driver.sql.Identifier
        parts_of_name = table.split(".")
        self._name = table
        self._create = self._driver.sql.SQL(CREATE).format(table=quote(*parts_of_name))
        self._create_index = self._driver.sql.SQL(CREATE_INDEX).format(
            index=quote(f"{parts_of_name[-1]}_time"), table=quote(*parts_of_name)
        )
        # Beside values, a % of the name would be taken for the place of one.
        self._write = self._driver.sql.SQL(INSERT).format(table=quote(*table.replace("%", "%%").split(".")))

    @classmethod
    def from_url(cls, url: str) -> Self:
        """Make the sink of ``postgresql://USER:PASSWORD@HOST:5432/DATABASE``; raises ConfigurationError."""
        return cls(url)

    def _open(self) -> psycopg.Connection[Any]:
        seconds = self._seconds

        class Connection(self._driver.Connection[Any]):  # type: ignore[misc,name-defined]  # imported when it is needed
            def wait(self, gen: Generator[Any, Any, Any], *_: Any, **__: Any) -> Any:
                return _exchange(gen, self.fileno(), seconds)

        # What is prepared on the server gets lost behind a pooler.
        made: psycopg.Connection[Any] = Connection.connect(
            self._url, autocommit=True, prepare_threshold=None, fallback_application_name="tollkeeper", **self._options
        )
        return made

    def _close(self, connection: psycopg.Connection[Any]) -> None:
        connection.close()

    def _insert(self, connection: psycopg.Connection[Any], events: Sequence[UsageEvent]) -> None:
        documents = self._driver.types.json.Json(events, dumps=_documents_of)
        try:
            connection.execute(self._write, [documents])
        except self._driver.errors.UndefinedTable:
            with connection.transaction():
                connection.execute(LOCK, [self._name])
                connection.execute(self._create)
                connection.execute(self._create_index)
            connection.execute(self._write, [documents])

    def _judge(self, error: Exception) -> tuple[Fault, str]:
        if isinstance(error, TimeoutError | self._driver.errors.ConnectionTimeout):
            return Fault.SERVER, f"no answer in {self._seconds:g} seconds"
        if not isinstance(error, self._driver.Error):
            return super()._judge(error)
        state = error.sqlstate or ""
        why = error.diag.message_primary or " ".join(str(error).split())  # the rest shows values
        if state.startswith(REFUSED) or isinstance(error, self._driver.DataError):
            return Fault.EVENT, why
        if state.startswith(CONFUSED) and state != FORBIDDEN:
            return Fault.SINK, f"{why}: name another table"
        return (Fault.CONNECTION if not state or state.startswith(ENDED) else Fault.SERVER), why


def _exchange(steps: Generator[Any, Any, Any], socket: int, seconds: float) -> Any:
    """Carry out the steps of an exchange, as the driver does, but in bounded time.

    Each step says what the socket must be ready for, and is told what it is ready for, in the numbers of ``selectors``.
    """
    until = time.monotonic() + seconds
    try:
        wanted = next(steps)
        while True:
            with selectors.DefaultSelector() as selector:
                selector.register(socket, wanted)
                ready = selector.select(max(0.0, until - time.monotonic()))
            if not ready:
                raise TimeoutError
            wanted = steps.send(ready[0][1])
    except StopIteration as end:
        return end.value


def _documents_of(events: Iterable[UsageEvent]) -> bytearray:
    """Write a JSON array into one buffer that grows: to make or copy half a megabyte at once takes its time."""
    text, separator = bytearray(b"["), b""
    for event in events:
        text += separator
        ENCODER.encode_into(event, text, -1)
        separator = b","
    text += b"]"
    return text
