"""Where the documents go, by the settings of flask-api-usage."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlsplit

from tollkeeper.compat.flask_api_usage.document import document_id, usage_document
from tollkeeper.errors import ConfigurationError
from tollkeeper.sinks.mongodb import MongoDBSink
from tollkeeper.sinks.rejections import Rejections

if TYPE_CHECKING:
    import pymongo
    from bson.raw_bson import RawBSONDocument

    from tollkeeper.events.event import UsageEvent
    from tollkeeper.sinks.base import Sink

__all__ = ["LOGGER", "storage"]

COLLECTION = "api-usage"
LOGGER = "flask-api-usage"
ANYWHERE = "mongodb://localhost:27017/"


class _UsageSink(MongoDBSink):
    """Writes the documents of flask-api-usage, each once."""

    def __init__(self, url: str) -> None:
        super().__init__(url, collection=COLLECTION)
        self._rejections = Rejections(self._shown, LOGGER)

    def _open(self) -> pymongo.MongoClient[Any]:  # without an index: the collection may be large, and has its own
        made: pymongo.MongoClient[Any] = self._driver.MongoClient(
            self._url, appname="tollkeeper", maxPoolSize=1, **self._options
        )
        return made

    def _document(self, event: UsageEvent) -> RawBSONDocument:
        name = {"_id": self._bson.ObjectId(document_id(event))}
        document: RawBSONDocument = self._bson.raw_bson.RawBSONDocument(self._bson.encode(name | usage_document(event)))
        return document


def storage(config: Mapping[str, Any]) -> Sink | str | None:
    """The sink, or its URL, that ``USAGE_STORAGE_URI`` or else ``USAGE_MONGODB_SETTINGS`` names; None without them.

    Raises:
        ConfigurationError: what they hold names no database, or pymongo is not installed.
    """
    uri = config.get("USAGE_STORAGE_URI")
    if uri:
        return _UsageSink(uri) if str(uri).startswith("mongodb") else str(uri)
    settings = config.get("USAGE_MONGODB_SETTINGS")
    if not settings:
        return None
    if not isinstance(settings, Mapping) or not settings.get("db"):
        raise ConfigurationError(
            "USAGE_MONGODB_SETTINGS names no database: make it {'db': 'usage', 'host': 'mongodb://HOST:27017/'}."
        )
    return _UsageSink(_url(settings))


def _url(settings: Mapping[str, Any]) -> str:
    """The address of ``db`` at ``host``, which may be a URL or only the name of a host, as for MongoEngine."""
    host = str(settings.get("host") or ANYWHERE)
    if "://" not in host:
        host = f"mongodb://{host}:{settings.get('port') or 27017}/"
    user, password = settings.get("username"), settings.get("password")
    if user and "@" not in urlsplit(host).netloc:
        credentials = f"{quote(str(user), safe='')}:{quote(str(password or ''), safe='')}"
        host = host.replace("://", f"://{credentials}@", 1)
    parts = urlsplit(host)
    query = parts.query
    if "@" in parts.netloc and "authsource=" not in query.lower():  # or the database would be asked who this is
        source = settings.get("authentication_source") or parts.path.strip("/") or "admin"
        query = "&".join(filter(None, (query, f"authSource={quote(str(source), safe='')}")))
    return parts._replace(path=f"/{quote(str(settings['db']), safe='')}", query=query).geturl()
