"""From the texts of a log line to values: times, statuses, requests, sizes; None where a text says nothing."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from functools import lru_cache

from tollkeeper.events.timestamps import EPOCH, from_microseconds

__all__ = ["read_number", "read_request", "read_status", "read_text", "read_time"]

METHODS = (
    "GET|HEAD|POST|PUT|PATCH|DELETE|OPTIONS|CONNECT|TRACE|QUERY|SEARCH|REPORT|PURGE|"
    "PROPFIND|PROPPATCH|MKCOL|MKCALENDAR|COPY|MOVE|LOCK|UNLOCK|ACL|LINK|UNLINK"
)
REQUEST = re.compile(rf"({METHODS}) ([/*].*?|[A-Za-z][A-Za-z0-9+.-]*://.*?|(?<=CONNECT )\S+?)(?: HTTP/\d(?:\.\d)?)?")
CLF_TIME = re.compile(r"(\d\d)/([A-Z][a-z][a-z])/(\d{4}):(\d\d):(\d\d):(\d\d)(?: ([+-])(\d\d)(\d\d))?")
MONTHS = {
    name: place
    for place, name in enumerate(
        ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"), start=1
    )
}
END_OF_TIME = datetime(9999, 1, 1, tzinfo=UTC)
EPOCH_UNITS = ((1e17, 1e9), (1e14, 1e6), (1e11, 1e3), (0.0, 1.0))
STATUS = re.compile(r"[1-9]\d\d", re.ASCII)
CONTROL = re.compile(r"[\x00-\x1f\x7f]")


@lru_cache(maxsize=8192)
def read_time(text: str | float) -> datetime:
    """Read ``17/May/2015:10:05:03 +0000``, RFC 3339, or seconds, milliseconds, micro- or nanoseconds since 1970.

    A time without an offset is UTC. Raises ValueError, also for a time before 1970 or from 9999 on.
    """
    try:
        time = _time(text)
    except (ValueError, OverflowError, KeyError, StopIteration):
        time = None
    if time is None or not EPOCH <= time < END_OF_TIME:
        raise ValueError(f"{str(text)[:40]!r} is not a time from 1970 to 9998")
    return time


def read_status(text: str) -> int:
    """Read a status from 100 to 999; raises ValueError."""
    if not STATUS.fullmatch(text):
        raise ValueError(f"{text[:40]!r} is not a status: a number from 100 to 999 is needed")
    return int(text)


@lru_cache(maxsize=8192)
def read_request(request: str) -> tuple[str, str] | None:
    """Split a request line into a method and a target; None when it is no HTTP request, as an empty or a binary one."""
    match = REQUEST.fullmatch(request)
    if match is None:
        return None
    method, target = match.groups()
    return method, target


def read_text(text: str | None, limit: int) -> str | None:
    r"""Cut a text to ``limit`` characters; control characters are written as ``\x00``."""
    if text is None or text in {"", "-"}:
        return None
    if not text.isprintable():
        text = CONTROL.sub(lambda match: f"\\x{ord(match[0]):02x}", text)
    return text[:limit]


def read_number(text: str | None, limit: float) -> float | None:
    """Read a number from 0 to ``limit``; anything else is None."""
    if text is None or text == "-":
        return None
    try:
        number = float(text)
    except ValueError:
        return None
    return number if 0 <= number <= limit else None


def _time(text: str | float) -> datetime:
    if isinstance(text, str) and (match := CLF_TIME.fullmatch(text)):
        return _clf_time(match)
    if isinstance(text, str) and not text.replace(".", "", 1).isdecimal():
        time = datetime.fromisoformat(text)
        return time.astimezone(UTC) if time.tzinfo else time.replace(tzinfo=UTC)
    number = float(text)
    unit = next(unit for least, unit in EPOCH_UNITS if number >= least)
    return from_microseconds(round(number * 1e6 / unit))


def _clf_time(match: re.Match[str]) -> datetime:
    day, month, year, hour, minute, second, sign, hours, minutes = match.groups()
    time = datetime(int(year), MONTHS[month], int(day), int(hour), int(minute), int(second), tzinfo=UTC)
    if sign is None or (hours == "00" and minutes == "00"):
        return time
    offset = timedelta(hours=int(hours), minutes=int(minutes))
    return time - offset if sign == "+" else time + offset
