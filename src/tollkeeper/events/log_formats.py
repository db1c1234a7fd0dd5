"""From one line of an access log to its fields, for each format that servers write."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["FORMATS", "Fields", "pattern_format"]

TEXT = r'"([^"\\]*(?:\\.[^"\\]*)*)"'
VIRTUAL_HOST = r"(?:\S+:\d{1,5} (?=\S+ \S+ \S+ \[))?"
IDENTITY = rf"{VIRTUAL_HOST}(\S+) \S+ (.{{1,255}}?) \[([^\]]{{1,64}})\] {TEXT} (\d{{3}}) (\d+|-)"
COMMON = re.compile(IDENTITY, re.DOTALL)
COMBINED = re.compile(rf"{IDENTITY} {TEXT} {TEXT}(?: (\d+\.\d+)(?= |$))?(?: .*)?", re.DOTALL)
ESCAPES = re.compile(r"(?:\\x[0-9a-fA-F]{2})+|\\[\"\\]")
REQUIRED = ("time", "method", "path", "status")

# The names of nginx, Caddy, Traefik and of what people write by hand; the first that is there counts.
NAMES = {
    "time": ("time", "timestamp", "@timestamp", "time_iso8601", "ts", "time_local", "StartUTC"),
    "status": ("status", "status_code", "DownstreamStatus"),
    "method": ("method", "request_method", "RequestMethod"),
    "target": ("request_uri", "uri", "path", "url", "RequestPath"),
    "size": ("bytes", "body_bytes_sent", "bytes_sent", "size", "DownstreamContentSize"),
    "ip": ("client_ip", "remote_addr", "remote_ip", "ClientHost"),
    "user": ("user", "remote_user", "user_id", "ClientUsername"),
    "referer": ("http_referer", "referer", "request_Referer"),
    "agent": ("http_user_agent", "user_agent", "request_User-Agent"),
    "elapsed": ("request_time", "duration"),
}
_json = msgspec.json.Decoder(dict[str, Any])


class Fields(NamedTuple):
    """What a line says, as it stands there; None or ``-`` where it says nothing. ``elapsed`` is seconds.

    Either ``request`` is set (``GET /a HTTP/1.1``), or ``method`` and ``target`` are.
    """

    ip: str | None
    user: str | None
    time: str | float
    request: str | None
    status: str
    size: str | None
    referer: str | None = None
    agent: str | None = None
    elapsed: str | None = None
    method: str | None = None
    target: str | None = None


def pattern_format(pattern: str) -> Callable[[str], Fields]:
    """Build a reader from a regular expression with the named groups of a line.

    Required: ``time`` and ``status``, and ``method`` with ``path`` or else ``request``; known besides: ``size``,
    ``ip``, ``user``, ``referer``, ``agent`` and ``elapsed``.

    Raises:
        ValueError: it is no regular expression, or a group is missing or not known.
    """
    try:
        expression = re.compile(pattern)
    except re.error as error:
        raise ValueError(f"The pattern is not a regular expression: {error}.") from None
    groups = expression.groupindex.keys()
    needed = ("time", "status", "request") if "request" in groups else REQUIRED
    if missing := [name for name in needed if name not in groups]:
        raise ValueError(f"The pattern has no group named {', '.join(missing)}: write (?P<{missing[0]}>...).")
    if unknown := sorted(groups - {*Fields._fields, "path"} - {"target"}):
        raise ValueError(f"The pattern's group {', '.join(unknown)} is not known: see docs/backfill.md.")

    def read(line: str) -> Fields:
        match = expression.search(line)
        if match is None:
            raise ValueError("it does not match the pattern")
        found = match.groupdict()
        if found["time"] is None or found["status"] is None:
            raise ValueError("the pattern finds no time or no status in it")
        fields = _fields(found | {"target": found.get("path")})
        return _unescaped(fields) if "\\" in line else fields

    return read


def _read_common(line: str) -> Fields:
    match = COMMON.fullmatch(line)
    if match is None:
        raise ValueError("it is not 'ip - user [time] \"request\" status size'")
    return _unescaped(Fields(*match.groups())) if "\\" in line else Fields(*match.groups())


def _read_combined(line: str) -> Fields:
    match = COMBINED.fullmatch(line)
    if match is None:
        raise ValueError('it is not \'ip - user [time] "request" status size "referer" "user agent"\'')
    return _unescaped(Fields(*match.groups())) if "\\" in line else Fields(*match.groups())


def _unescaped(fields: Fields) -> Fields:
    written = {name: getattr(fields, name) for name in ("user", "request", "referer", "agent", "target")}
    return fields._replace(**{name: ESCAPES.sub(_unescape, text) for name, text in written.items() if text})


def _unescape(match: re.Match[str]) -> str:
    """Undo what servers do to quotes and bytes; bytes that are no readable UTF-8 text stay as they are written."""
    escape = match[0]
    if not escape.startswith("\\x"):
        return escape[1]
    try:
        text = bytes.fromhex(escape.replace("\\x", "")).decode()
    except UnicodeDecodeError:
        return escape
    return text if text.isprintable() else escape


def _read_json(line: str) -> Fields:
    try:
        record = _json.decode(line)
    except (msgspec.MsgspecError, RecursionError) as error:
        raise ValueError(f"it is not a JSON object: {error}") from None
    record = _flatten(record)
    found = {name: _first(record, names) for name, names in NAMES.items()}
    nanoseconds = record.get("Duration")  # Traefik's
    if found["elapsed"] is None and isinstance(nanoseconds, int | float):
        found["elapsed"] = nanoseconds / 1e9
    request = record.get("request")
    if absent := [name for name in ("time", "status") if found[name] is None]:
        raise ValueError(f"it has no {absent[0]}: one of {', '.join(NAMES[absent[0]])} is needed")
    if not isinstance(request, str) and (found["method"] is None or found["target"] is None):
        raise ValueError("it has no request: a method and a path, or 'request', is needed")
    if found["method"] is None or found["target"] is None:
        found["request"] = request
    return _fields(found)


def _fields(found: dict[str, Any]) -> Fields:
    time = found["time"]
    texts = {name: None if found.get(name) is None else str(found[name]) for name in Fields._fields}
    return Fields(
        ip=texts["ip"],
        user=texts["user"],
        time=float(time) if isinstance(time, int | float) else str(time),
        request=texts["request"],
        status=str(found["status"]),
        size=texts["size"],
        referer=texts["referer"],
        agent=texts["agent"],
        elapsed=texts["elapsed"],
        method=texts["method"],
        target=texts["target"],
    )


def _flatten(record: dict[str, Any]) -> dict[str, Any]:
    """Lift Caddy's nested request, and the two headers of it that matter, beside the rest."""
    request = record.get("request")
    if not isinstance(request, dict):
        return record
    headers = request.get("headers")
    headers = headers if isinstance(headers, dict) else {}
    lifted = {"user_agent": headers.get("User-Agent"), "referer": headers.get("Referer")}
    lifted = {name: value[0] if isinstance(value, list) and value else None for name, value in lifted.items()}
    return lifted | request | {name: value for name, value in record.items() if name != "request"}


def _first(record: dict[str, Any], names: tuple[str, ...]) -> Any:
    values = (record.get(name) for name in names)
    return next((value for value in values if value not in (None, "") and isinstance(value, str | int | float)), None)


FORMATS: dict[str, Callable[[str], Fields]] = {
    "combined": _read_combined,
    "common": _read_common,
    "json": _read_json,
}
