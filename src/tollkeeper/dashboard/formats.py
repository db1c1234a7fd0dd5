"""How figures, sizes and times are written on a page."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["FILTERS", "compact", "moment"]

NONE = "\N{EN DASH}"
KILO = 1000
STATUS_CLASSES = "12345"
TOO_DEEP = "It is too deeply nested to be shown here; the API and an export have it."


def compact(value: float) -> str:
    """Write a count with three digits and a letter: 950, 4.09K, 12.3M."""
    return _scaled(value, ("", "K", "M", "B", "T"))


def _scaled(value: float, units: tuple[str, ...]) -> str:
    """Write a value in the smallest unit, each a thousand of the one before, that keeps it to three digits."""
    power = 0
    while power < len(units) - 1 and round(value) >= KILO:
        value /= KILO
        power += 1
    digits = 0 if not power or value >= 99.95 else 1 if value >= 9.995 else 2  # noqa: PLR2004  # three digits in all
    return f"{value:.{digits}f}{units[power]}"


def _percent(share: float | None) -> str:
    if share is None:
        return NONE
    value = share * 100
    return "0%" if value == 0 else f"{value:.2f}%" if value < 10 else f"{value:.1f}%"  # noqa: PLR2004  # digits


def _duration(seconds: float | None) -> str:
    if seconds is None:
        return NONE
    ms = seconds * KILO
    if round(ms) >= KILO:
        return f"{seconds:.2f} s"
    return f"{ms:.0f} ms" if ms >= 9.95 else f"{ms:.1f} ms"  # noqa: PLR2004  # two digits at least


def _size(count: float | None) -> str:
    return NONE if count is None else _scaled(count, (" B", " KB", " MB", " GB", " TB"))


def _whole(value: float | None) -> str:
    return NONE if value is None else f"{value:,.0f}"


def moment(time_us: int, form: str = "%b %-d, %H:%M") -> str:
    """Write microseconds since 1970 in UTC; the form is that of strftime."""
    return datetime.fromtimestamp(time_us / 1_000_000, UTC).strftime(form.replace("%-d", str(_day(time_us))))


def _day(time_us: int) -> int:
    return datetime.fromtimestamp(time_us / 1_000_000, UTC).day


def _iso(time_us: int) -> str:
    return datetime.fromtimestamp(time_us / 1_000_000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _pretty(value: Any) -> str:
    """Indent JSON; a text that holds JSON is indented too, any other stays as it is; what cannot be shown says so."""
    if isinstance(value, str):
        try:
            parsed = json.loads(value)
        except (ValueError, RecursionError):
            return value
        if not isinstance(parsed, dict | list):
            return value
        value = parsed
    try:
        return json.dumps(value, indent=2, ensure_ascii=False)
    except (ValueError, RecursionError):
        return TOO_DEEP


def _status_class(code: int) -> str:
    head = str(code)[0]
    return f"{head}xx" if head in STATUS_CLASSES else "other"


FILTERS: dict[str, Callable[..., str]] = {
    "compact": compact,
    "duration": _duration,
    "iso": _iso,
    "moment": moment,
    "percent": _percent,
    "pretty": _pretty,
    "size": _size,
    "status_class": _status_class,
    "whole": _whole,
}
"""The filters of the templates, by name."""
