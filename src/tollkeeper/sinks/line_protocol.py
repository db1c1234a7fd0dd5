"""Events as InfluxDB's line protocol, each a point of its own."""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING

from tollkeeper.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from tollkeeper.events.event import UsageEvent

__all__ = ["checked_measurement", "to_lines"]

MILLISECOND = 1_000_000  # nanoseconds

CONTROL = re.compile(r"[\x00-\x1f\x7f]")
# A backslash is a literal one in a tag unless one of these follows, and there is no way to write it then.
UNSAFE_BACKSLASH = re.compile(r"\\(?=[\\,= ]|\Z)")
SPECIAL = re.compile(r"([,= ])")
QUOTED = re.compile(r'(["\\])')
NAME = re.compile(r"[A-Za-z][A-Za-z0-9_.:-]*")


def checked_measurement(name: str) -> str:
    """Return a name for a measurement that needs no escaping; raises ConfigurationError for any other."""
    if not NAME.fullmatch(name):
        raise ConfigurationError(f"{name!r} cannot be a measurement: use letters, digits, '_', '.', ':' and '-'.")
    return name


def to_lines(
    events: Sequence[UsageEvent], measurement: str, tags: Mapping[str, Callable[[UsageEvent], str]]
) -> list[bytes]:
    """Write a line for each event; the same events always give the same lines.

    A point is replaced by another with the same tags and nanosecond, so each event has its own: it stays within its
    millisecond, at a nanosecond that comes from its ``(source, id)``; two of a batch that still meet are moved apart.
    """
    lines = []
    taken: dict[tuple[str, int], tuple[str, str]] = {}
    for event in events:
        series = "".join((measurement, *_tags(event, tags)))
        name = (event.source, event.id)
        start = event.time_us // 1000 * MILLISECOND
        offset = _offset(name)
        while taken.setdefault((series, start + offset), name) != name:
            offset = (offset + 1) % MILLISECOND
        fields = ",".join(_fields(event, tags))
        lines.append(f"{series} {fields} {start + offset}".encode(errors="replace"))
    return lines


def _offset(name: tuple[str, str]) -> int:
    digest = hashlib.blake2b("\0".join(name).encode(errors="replace"), digest_size=8).digest()
    return int.from_bytes(digest, "big") % MILLISECOND


def _tags(event: UsageEvent, tags: Mapping[str, Callable[[UsageEvent], str]]) -> Iterable[str]:
    for name, read in tags.items():
        value = CONTROL.sub(" ", read(event))
        if value:
            yield f",{name}={SPECIAL.sub(_ESCAPED, UNSAFE_BACKSLASH.sub('/', value))}"


def _fields(event: UsageEvent, tags: Mapping[str, object]) -> Iterable[str]:
    yield f"id={_text(event.id)}"
    yield f"units={float(event.units)!r}"
    numbers = (
        ("elapsed_time", event.request.elapsed_time),
        ("first_byte_time", event.response.first_byte_time),
    )
    for name, seconds in numbers:
        if seconds is not None:
            yield f"{name}={float(seconds)!r}"
    sizes = (("request_size", event.request.content_length), ("response_size", event.response.content_length))
    for name, size in sizes:
        if size is not None:
            yield f"{name}={size}i"
    if event.consumer is not None and "consumer" not in tags:
        yield f"consumer={_text(event.consumer.key)}"
    if event.error is not None:
        yield f"error={_text(event.error.type)}"


def _text(value: str) -> str:
    return f'"{QUOTED.sub(_ESCAPED, CONTROL.sub(" ", value))}"'


_ESCAPED = r"\\\1"
