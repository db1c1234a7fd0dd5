"""Insert events into one collection of a MongoDB database."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any, Self

from tollkeeper.errors import ConfigurationError
from tollkeeper.sinks.database import DatabaseSink, Fault
from tollkeeper.sinks.driver import import_driver
from tollkeeper.sinks.rows import TABLE

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pymongo
    from bson.raw_bson import RawBSONDocument

    from tollkeeper.events.event import UsageEvent

__all__ = ["MongoDBSink"]

SRV = "mongodb+srv://"
HELP = "use mongodb://USER:PASSWORD@HOST:27017/DATABASE or mongodb+srv://USER:PASSWORD@HOST/DATABASE"
DUPLICATE_KEY = 11000
# What is not valid, too large, too deep, or not as a validator or another index of the collection demands it.
REFUSED = frozenset({2, 9, 14, 15, 22, 52, 53, 54, 55, 56, 57, 121, 10334, 16755, 17280, 17419, 17420, DUPLICATE_KEY})
# A name that cannot be, or of something that is no collection.
CONFUSED = frozenset({73, 166})


class MongoDBSink(DatabaseSink["pymongo.MongoClient[Any]"]):
    """Writes each event as one document into ``collection``, which is made when it is not there.

    ``_id`` is made of the source and the id of the event. ``timeout`` is in seconds, for each batch with all that the
    driver tries for it; a ``timeoutMS`` in the URL stands instead, and so does a ``w`` instead of a majority.
    """

    def __init__(self, url: str, *, collection: str = TABLE, timeout: float = 10.0) -> None:
        self._driver = import_driver("pymongo", "mongodb")
        self._bson = import_driver("bson", "mongodb")
        parse = import_driver("pymongo.uri_parser", "mongodb").parse_uri
        # Looked up only when it is connected to: parsed as it is, it would be here.
        plain = f"mongodb://{url.removeprefix(SRV)}" if url.startswith(SRV) else url
        try:
            parts = parse(plain)
        except (self._driver.errors.PyMongoError, ValueError, TypeError):  # may show a part of the password
            parts = {}
        if not parts.get("database"):
            raise ConfigurationError(f"The MongoDB URL of a sink cannot be read: {HELP}.")
        hosts = ",".join(f"{host}:{port}" if port else host for host, port in parts["nodelist"])
        super().__init__(f"mongodb://{hosts}/{parts['database']}")
        self._url = url
        given = {name.lower(): value for name, value in parts["options"].items()}
        self._seconds = given.get("timeoutms", timeout)
        self._options: dict[str, Any] = {} if "timeoutms" in given else {"timeoutMS": round(timeout * 1000)}
        if "w" not in given:
            self._options["w"] = "majority"
        self._database, self._collection = parts["database"], collection

    @classmethod
    def from_url(cls, url: str) -> Self:
        """Make the sink of ``mongodb://USER:PASSWORD@HOST:27017/DATABASE``; raises ConfigurationError."""
        return cls(url)

    def _open(self) -> pymongo.MongoClient[Any]:
        made: pymongo.MongoClient[Any] = self._driver.MongoClient(
            self._url, appname="tollkeeper", maxPoolSize=1, **self._options
        )
        try:
            with suppress(self._driver.errors.OperationFailure):  # without the right to, one can still insert
                made[self._database][self._collection].create_index("time")
        except BaseException:
            self._close(made)
            raise
        return made

    def _close(self, connection: pymongo.MongoClient[Any]) -> None:
        connection.close()

    def _insert(self, connection: pymongo.MongoClient[Any], events: Sequence[UsageEvent]) -> None:
        documents = [self._document(event) for event in events]
        try:
            connection[self._database][self._collection].insert_many(documents, ordered=False)
        except self._driver.errors.BulkWriteError as error:
            if error.details.get("writeConcernErrors") or _first_trouble(error.details):
                raise

    def _document(self, event: UsageEvent) -> RawBSONDocument:
        """Return the event as on the wire, with a time and a number that MongoDB can compare and add up.

        Its times have milliseconds; ``time_us`` is exact.
        """
        more = {
            "time": event.time,
            "time_us": event.time_us,
            "units": self._bson.decimal128.Decimal128(event.units),
        }
        name = {"_id": {"source": event.source, "id": event.id}}
        document: RawBSONDocument = self._bson.raw_bson.RawBSONDocument(
            self._bson.encode(name | event.document() | more)
        )
        return document

    def _judge(self, error: Exception) -> tuple[Fault, str]:
        errors = self._driver.errors
        if isinstance(error, self._bson.errors.BSONError | errors.InvalidDocument):
            return Fault.EVENT, f"it is no document for MongoDB ({type(error).__name__})"
        if not isinstance(error, errors.PyMongoError):
            return super()._judge(error)
        if error.timeout:
            why = str(error).partition(" (configured")[0][:200]  # the rest describes all servers
            return Fault.SERVER, f"no server has answered in {self._seconds:g} seconds: {why}"
        if isinstance(error, errors.ConnectionFailure):
            return Fault.CONNECTION, str(error)
        answer = getattr(error, "details", None) or {}
        trouble = _first_trouble(answer) or next(iter(answer.get("writeConcernErrors", ())), answer)
        code = trouble.get("code")
        why = f"{str(trouble.get('errmsg', error))[:200]} ({code or 'without a code'})"
        if code in CONFUSED or isinstance(error, errors.InvalidName):
            return Fault.SINK, f"{why}: name another collection"
        return (Fault.EVENT if code in REFUSED else Fault.SERVER), why


def _first_trouble(answer: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """Return the first error of a bulk that is not about an event which is already there."""
    errors = answer.get("writeErrors", ())
    return next((error for error in errors if not _is_there_already(error)), None)


def _is_there_already(error: Mapping[str, Any]) -> bool:
    if error.get("code") != DUPLICATE_KEY:
        return False
    pattern = error.get("keyPattern")
    return list(pattern) == ["_id"] if pattern else "index: _id_" in str(error.get("errmsg"))
