"""From the URL in a setting to the sink that it names."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from msgspec import Struct

from tollkeeper.errors import ConfigurationError
from tollkeeper.settings import load_settings

if TYPE_CHECKING:
    from tollkeeper.sinks.base import Sink

__all__ = ["sink_from_url"]


class _Kind(Struct, frozen=True):
    """Where the class is, which is imported when a URL asks for it, and what its URLs look like."""

    module: str
    name: str
    shown: str


SQLITE = _Kind("sqlite", "SQLiteSink", "sqlite:///usage.db, sqlite:////absolute/usage.db")
COLLECTOR = _Kind("collector", "CollectorSink", "http(s)://HOST[:PORT] of a Tollkeeper service")
MYSQL = _Kind("mysql", "MySQLSink", "mysql://USER:PASSWORD@HOST/DATABASE")
POSTGRESQL = _Kind("postgresql", "PostgreSQLSink", "postgresql://USER:PASSWORD@HOST/DATABASE")
MONGODB = _Kind("mongodb", "MongoDBSink", "mongodb://HOST/DATABASE, mongodb+srv://HOST/DATABASE")
INFLUXDB = _Kind("influxdb", "InfluxDBSink", "influxdb+http(s)://:TOKEN@HOST/ORG/BUCKET")
PROMETHEUS = _Kind("prometheus", "PrometheusSink", "prometheus:")
HTTP = _Kind("http", "HTTPSink", "post+http(s)://HOST/PATH")
OTLP = _Kind("otlp", "OTLPSink", "otlp+http(s)://HOST")
JSONL = _Kind("jsonl", "JSONLinesSink", "jsonl:///usage.jsonl")
README = _Kind("readme", "ReadMeSink", "readme://KEY@")
MEMORY = _Kind("memory", "MemorySink", "memory:")

SCHEMES = {
    "sqlite": SQLITE,
    "http": COLLECTOR,
    "https": COLLECTOR,
    "mysql": MYSQL,
    "postgresql": POSTGRESQL,
    "postgres": POSTGRESQL,
    "mongodb": MONGODB,
    "mongodb+srv": MONGODB,
    "influxdb+http": INFLUXDB,
    "influxdb+https": INFLUXDB,
    "prometheus": PROMETHEUS,
    "post+http": HTTP,
    "post+https": HTTP,
    "otlp+http": OTLP,
    "otlp+https": OTLP,
    "jsonl": JSONL,
    "readme": README,
    "memory": MEMORY,
}


def sink_from_url(url: str, *, token: str | None = None) -> Sink:
    """Make the sink that a URL names; ``token`` is for a collector, else the one in the URL, else the setting's.

    Raises:
        ConfigurationError: no sink has this URL, with a list of those that there are; or its driver is not installed,
            with the name of the extra that does it. No message holds more of the URL than its scheme.
    """
    scheme = _scheme(url)
    kind = SCHEMES.get(scheme)
    if kind is None:
        wrong = f"has the unknown scheme {scheme!r}" if scheme else "has no scheme"
        known = "; ".join(dict.fromkeys(kind.shown for kind in SCHEMES.values()))
        raise ConfigurationError(f"The URL of a sink {wrong}. Use one of these, as docs/sinks.md says: {known}.")
    sink: Any = getattr(import_module(f"tollkeeper.sinks.{kind.module}"), kind.name)
    try:
        if "http" in scheme:
            urlsplit(url).port  # noqa: B018 - raises when it is no number, before anything quotes it
        made: Sink = sink(url, token=_token(url, token)) if kind is COLLECTOR else sink.from_url(url)
    except ValueError:  # its text may quote the URL, password and all
        raise ConfigurationError(f"The {scheme} URL of a sink cannot be read: write {kind.shown}.") from None
    return made


def _token(url: str, given: str | None) -> str:
    parts = urlsplit(url)
    return given or unquote(parts.password or parts.username or "") or load_settings().token


def _scheme(url: str) -> str:
    try:
        return urlsplit(url).scheme
    except ValueError:  # brackets that do not close, in what follows the scheme
        return url.partition(":")[0].lower()
