"""From the URL in a setting to the sink that it names."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from tollkeeper.errors import ConfigurationError
from tollkeeper.settings import load_settings
from tollkeeper.sinks.collector import CollectorSink
from tollkeeper.sinks.memory import MemorySink
from tollkeeper.sinks.sqlite import SQLiteSink

if TYPE_CHECKING:
    from tollkeeper.sinks.base import Sink

__all__ = ["sink_from_url"]

KNOWN = "sqlite:///usage.db, sqlite:////absolute/usage.db, http://HOST:PORT, https://HOST or memory:"


def sink_from_url(url: str, *, token: str | None = None) -> Sink:
    """Make the sink that a URL names; ``token`` is for a collector, else the one in the URL, else the setting's.

    Raises:
        ConfigurationError: no sink has this URL; the message lists those that there are.
    """
    try:
        parts = urlsplit(url)
        parts.port  # noqa: B018 - raises when it is no number
    except ValueError as error:
        raise ConfigurationError(f"The sink {_safe(url)!r} is no URL ({error}): use {KNOWN}.") from None
    if parts.scheme == "memory":
        return MemorySink()
    if parts.scheme == "sqlite" and not parts.netloc and len(parts.path) > 1:
        return SQLiteSink(unquote(parts.path[1:]))
    if parts.scheme in {"http", "https"} and parts.hostname:
        return CollectorSink(
            url, token=token or unquote(parts.password or parts.username or "") or load_settings().token
        )
    raise ConfigurationError(f"The sink {_safe(url)!r} is not known: use {KNOWN}.")


def _safe(url: str) -> str:
    scheme, mark, rest = url.partition("//")
    return scheme + mark + rest.rpartition("@")[2]
